package run

// shares counts the task slots of this server that each user holds.
type shares struct {
	slots int
	held  map[string]int
}

// half returns how many slots a user may hold while tasks of others wait: half of them, rounded up.
func (s *shares) half() int { return (s.slots + 1) / 2 }

// most returns how many slots a user may hold while no tasks of others wait: all but one, so that the next
// task of another user starts at once.
func (s *shares) most() int { return max(s.half(), s.slots-1) }

// over returns the users who hold half of the slots or more, and those of them who hold as many as they may.
func (s *shares) over() (half, most []string) {
	for user, n := range s.held {
		if n >= s.half() {
			half = append(half, user)
		}
		if n >= s.most() {
			most = append(most, user)
		}
	}
	return half, most
}

// take counts a slot that the user now holds.
func (s *shares) take(user string) { s.held[user]++ }

// release undoes a take.
func (s *shares) release(user string) {
	if s.held[user]--; s.held[user] <= 0 {
		delete(s.held, user)
	}
}
