package api

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
)

type userRequest struct {
	Username string    `json:"username" pattern:"^[A-Za-z0-9._@-]{1,64}$" patternDescription:"Must be 1 to 64 of A-Z, a-z, 0-9, dot, underscore, @ and hyphen"`
	Email    string    `json:"email" format:"email" maxLength:"254"`
	Password string    `json:"password" format:"password" minLength:"8" maxLength:"256"`
	Role     core.Role `json:"role,omitempty" enum:"admin,member,viewer" default:"member"`
}

type userChange struct {
	Email    *string    `json:"email,omitempty" format:"email" maxLength:"254"`
	Role     *core.Role `json:"role,omitempty" enum:"admin,member,viewer"`
	Disabled *bool      `json:"disabled,omitempty" doc:"A disabled user is out within a second everywhere, and of open streams within five"`
}

type passwordReset struct {
	Password string `json:"password" format:"password" minLength:"8" maxLength:"256"`
}

type user struct {
	ID        string    `json:"id"`
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	Role      core.Role `json:"role" enum:"admin,member,viewer"`
	Disabled  bool      `json:"disabled"`
	CreatedAt stamp     `json:"created_at"`
	UpdatedAt stamp     `json:"updated_at"`
}

type userList struct {
	Users []user `json:"users"`
	Paged
}

// Paged ends every list that comes in parts.
type Paged struct {
	Total  int `json:"total" doc:"How many there are in all"`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// Page is the part of a list that is asked for. Huma sees embedded structs only
// when they are exported, hence the names of this one and its like.
type Page struct {
	Limit  int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Number of results"`
	Offset int `query:"offset" minimum:"0" default:"0" doc:"Pagination offset"`
}

func (p Page) core() core.Page       { return core.Page{Limit: p.Limit, Offset: p.Offset} }
func (p Page) reply(total int) Paged { return Paged{Total: total, Limit: p.Limit, Offset: p.Offset} }

type (
	userCreate struct{ Body userRequest }
	userInput  struct {
		ID string `path:"user_id"`
	}
	userPatch struct {
		ID   string `path:"user_id"`
		Body userChange
	}
	userPassword struct {
		ID   string `path:"user_id"`
		Body passwordReset
	}
	userOutput struct{ Body user }
	usersInput struct{ Page }
	usersReply struct{ Body userList }
	userMade   struct {
		Location string `header:"Location" doc:"Where the user is"`
		Body     user
	}
)

var exampleUser = user{
	ID: "user-123", Username: "your-username", Email: "user@example.com", Role: core.RoleMember,
	CreatedAt: exampleTime, UpdatedAt: exampleTime,
}

func (a *api) registerUsers() {
	register(a, operation{
		id: "create-user", method: http.MethodPost, path: "/v1/users/", tag: "Users", summary: "Add a user", access: admin,
		about:    "A member makes and uses agents; a viewer only reads; an admin sees and changes everything.",
		status:   http.StatusCreated,
		request:  userRequest{Username: "ann", Email: "ann@example.com", Password: "correct horse battery", Role: core.RoleMember},
		response: exampleUser, errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *userCreate) (*userMade, error) {
		u := &core.User{Username: in.Body.Username, Email: in.Body.Email, Role: in.Body.Role}
		if err := a.auth.CreateUser(ctx, u, in.Body.Password); err != nil {
			return nil, err
		}
		return &userMade{Location: "/v1/users/" + u.ID, Body: userBody(u)}, nil
	})
	register(a, operation{
		id: "list-users", method: http.MethodGet, path: "/v1/users/", tag: "Users", summary: "List the users", access: admin,
		about:    "By username.",
		response: userList{Users: []user{exampleUser}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *usersInput) (*usersReply, error) {
		found, total, err := a.users.Users(ctx, in.core())
		if err != nil {
			return nil, err
		}
		out := &usersReply{Body: userList{Users: make([]user, 0, len(found)), Paged: in.reply(total)}}
		for _, u := range found {
			out.Body.Users = append(out.Body.Users, userBody(u))
		}
		return out, nil
	})
	register(a, operation{
		id: "get-user", method: http.MethodGet, path: "/v1/users/{user_id}", tag: "Users", summary: "Get a user", access: admin,
		about: "Their password is not to be had.", response: exampleUser,
	}, func(ctx context.Context, in *userInput) (*userOutput, error) {
		u, err := a.users.User(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &userOutput{Body: userBody(u)}, nil
	})
	disabled := true
	register(a, operation{
		id: "change-user", method: http.MethodPatch, path: "/v1/users/{user_id}", tag: "Users", summary: "Change a user's role or email, disable or enable a user", access: admin,
		about: "What is left out stays. A disabled user keeps everything and can't sign in; sign-ins end, and API keys are of no use until the user is enabled again. " +
			"The last admin who may sign in stays one.",
		request: userChange{Disabled: &disabled}, response: exampleUser, errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *userPatch) (*userOutput, error) {
		u, err := a.auth.UpdateUser(ctx, in.ID, core.UserUpdate{Email: in.Body.Email, Role: in.Body.Role, Disabled: in.Body.Disabled})
		if err != nil {
			return nil, err
		}
		return &userOutput{Body: userBody(u)}, nil
	})
	register(a, operation{
		id: "reset-password", method: http.MethodPost, path: "/v1/users/{user_id}/password", tag: "Users", summary: "Reset a user's password", access: admin,
		about: "Every sign-in of the user ends; API keys stay.", status: http.StatusNoContent,
		request: passwordReset{Password: "correct horse battery"},
	}, func(ctx context.Context, in *userPassword) (*struct{}, error) {
		return nil, a.auth.ResetPassword(ctx, in.ID, in.Body.Password)
	})
}

func userBody(u *core.User) user {
	return user{
		ID: u.ID, Username: u.Username, Email: u.Email, Role: u.Role, Disabled: u.Disabled,
		CreatedAt: stamp(u.CreatedAt), UpdatedAt: stamp(u.UpdatedAt),
	}
}
