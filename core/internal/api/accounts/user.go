package accounts

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type userRequest struct {
	Username string    `json:"username" pattern:"^[A-Za-z0-9._@-]{1,64}$" patternDescription:"Must be 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore, @ and hyphen"`
	Email    string    `json:"email" format:"email" maxLength:"254"`
	Password string    `json:"password" format:"password" minLength:"8" maxLength:"256"`
	Role     core.Role `json:"role,omitempty" enum:"admin,member,viewer" default:"member"`
}

type userChange struct {
	Email    *string    `json:"email,omitempty" format:"email" maxLength:"254"`
	Role     *core.Role `json:"role,omitempty" enum:"admin,member,viewer"`
	Disabled *bool      `json:"disabled,omitempty" doc:"Disabling takes effect on every server within one second, and ends open streams within five"`
}

type passwordReset struct {
	Password   string `json:"password" format:"password" minLength:"8" maxLength:"256"`
	EndAPIKeys bool   `json:"end_api_keys,omitempty" default:"false" doc:"Also deletes all API keys of the user"`
}

type user struct {
	ID        string    `json:"id"`
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	Role      core.Role `json:"role" enum:"admin,member,viewer"`
	Disabled  bool      `json:"disabled"`
	CreatedAt api.Time  `json:"created_at"`
	UpdatedAt api.Time  `json:"updated_at"`
}

type userList struct {
	Users []user `json:"users"`
	api.Paged
}

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
	usersInput struct{ api.Page }
	usersReply struct{ Body userList }
	userMade   struct {
		Location string `header:"Location" doc:"The path of the user"`
		Body     user
	}
)

var exampleUser = user{
	ID: "user-123", Username: "your-username", Email: "user@example.com", Role: core.RoleMember,
	CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime,
}

func registerUsers(a *api.API, manager UserManager, users Users) {
	api.RegisterRepeatable(a, api.Operation{
		ID: "create-user", Method: http.MethodPost, Path: "/v1/users/",
		Tag: "Users", Summary: "Add a user", Access: api.Admin,
		Description: "A member creates and uses agents, a viewer only reads, and an admin sees and changes everything.",
		Status:      http.StatusCreated,
		Request: userRequest{
			Username: "ann", Email: "ann@example.com", Password: "correct horse battery", Role: core.RoleMember,
		},
		Response: exampleUser, Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *userCreate) (*userMade, error) {
		u := &core.User{Username: in.Body.Username, Email: in.Body.Email, Role: in.Body.Role}
		return newUserMade(u, manager.CreateUser(ctx, api.Audit(ctx), u, in.Body.Password))
	}, func(ctx context.Context, _ *userCreate, id string) (*userMade, error) {
		return newUserMade(users.User(ctx, id))
	})
	api.Register(a, api.Operation{
		ID: "list-users", Method: http.MethodGet, Path: "/v1/users/",
		Tag: "Users", Summary: "List the users", Access: api.Admin,
		Description: "All users, sorted by username.",
		Response:    userList{Users: []user{exampleUser}, Paged: api.Paged{Total: 1, Limit: 20}},
		Errors:      []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *usersInput) (*usersReply, error) {
		found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.User, int, error) {
			return users.Users(ctx, p)
		}, func(u *core.User) core.PageKey { return core.PageKey{Text: u.Username} })
		if err != nil {
			return nil, err
		}
		out := &usersReply{Body: userList{Users: make([]user, 0, len(found)), Paged: paged}}
		for _, u := range found {
			out.Body.Users = append(out.Body.Users, newUserBody(u))
		}
		return out, nil
	})
	api.Register(a, api.Operation{
		ID: "get-user", Method: http.MethodGet, Path: "/v1/users/{user_id}",
		Tag: "Users", Summary: "Get a user", Access: api.Admin,
		Description: "The reply does not contain the password.", Response: exampleUser,
	}, func(ctx context.Context, in *userInput) (*userOutput, error) {
		return newUserOutput(users.User(ctx, in.ID))
	})
	disabled := true
	api.Register(a, api.Operation{
		ID: "change-user", Method: http.MethodPatch, Path: "/v1/users/{user_id}", Tag: "Users", Access: api.Admin,
		Summary: "Change a user's role or email, disable or enable a user",
		Description: "Omitted fields keep their value. A disabled user keeps all objects and cannot sign in; the user's " +
			"sessions end, and API keys do not work until the user is enabled again. The last admin who can sign in cannot be " +
			"disabled or lose the admin role.",
		Request: userChange{Disabled: &disabled}, Response: exampleUser, Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *userPatch) (*userOutput, error) {
		return newUserOutput(manager.UpdateUser(ctx, api.Audit(ctx), in.ID, core.UserUpdate{
			Email: in.Body.Email, Role: in.Body.Role, Disabled: in.Body.Disabled,
		}))
	})
	api.RegisterRepeatable(a, api.Operation{
		ID: "reset-password", Method: http.MethodPost, Path: "/v1/users/{user_id}/password", Tag: "Users", Access: api.Admin,
		Summary: "Reset a user's password", Status: http.StatusNoContent,
		Description: "Ends all sessions of the user. API keys stay valid unless end_api_keys is true. Set it if someone " +
			"else may have used the account.",
		Request: passwordReset{Password: "correct horse battery", EndAPIKeys: true},
	}, func(ctx context.Context, in *userPassword) (*struct{}, error) {
		return nil, manager.ResetPassword(ctx, api.Audit(ctx), in.ID, in.Body.Password, in.Body.EndAPIKeys)
	}, replayNothing[userPassword])
	api.RegisterRepeatable(a, api.Operation{
		ID: "end-user-sessions", Method: http.MethodPost,
		Path: "/v1/users/{user_id}/end-sessions", Tag: "Users", Access: api.Admin,
		Summary: "End all sessions of a user", Status: http.StatusNoContent,
		Description: "Ends all sessions of the user and deletes all API keys of the user. The user can sign in again. " +
			endDelay,
	}, func(ctx context.Context, in *userInput) (*struct{}, error) {
		return nil, manager.EndSessions(ctx, api.Audit(ctx), in.ID)
	}, replayNothing[userInput])
}

// replayNothing is the reply to the repeated request of an operation without a reply.
func replayNothing[I any](context.Context, *I, string) (*struct{}, error) { return nil, nil } //nolint:nilnil // 204

func newUserMade(u *core.User, err error) (*userMade, error) {
	if err != nil {
		return nil, err
	}
	return &userMade{Location: "/v1/users/" + u.ID, Body: newUserBody(u)}, nil
}

func newUserOutput(u *core.User, err error) (*userOutput, error) {
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: newUserBody(u)}, nil
}

func newUserBody(u *core.User) user {
	return user{
		ID: u.ID, Username: u.Username, Email: u.Email, Role: u.Role, Disabled: u.Disabled,
		CreatedAt: api.Time(u.CreatedAt), UpdatedAt: api.Time(u.UpdatedAt),
	}
}
