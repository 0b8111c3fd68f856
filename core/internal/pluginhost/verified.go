package pluginhost

// openBinary returns the program for the next process. After the first start it is the file of the first process,
// even if its path leads to another file by now: only a reload, which creates another supervisor, starts that one.
func (s *supervisor) openBinary(from *source) (*binary, error) {
	s.mu.Lock()
	verified := s.verified
	s.mu.Unlock()
	if verified != nil {
		return verified, verified.unchanged()
	}
	bin, err := openBinary(from.block, from.dirs)
	if err != nil {
		return nil, err
	}
	s.set(func() { s.program = bin.program })
	return bin, nil
}

// keepVerified keeps the program of a process that has started for later processes.
func (s *supervisor) keepVerified(bin *binary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified == nil {
		s.verified = bin
	}
}

// closeUnlessVerified closes a program that is not kept.
func (s *supervisor) closeUnlessVerified(bin *binary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified != bin {
		bin.close()
	}
}

// closeVerified closes the program that is kept, if any.
func (s *supervisor) closeVerified() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified != nil {
		s.verified.close()
		s.verified = nil
	}
}
