package core

// maxUpdateTries is the maximum number of attempts of Update to store a change.
const maxUpdateTries = 5

// Update reads an object, changes it and stores it. If write fails with PreconditionFailed, because another
// update has stored a new version in the meantime, Update starts again with that version. Update returns the
// stored object, or the first error that another try cannot avoid.
func Update[T any](read func() (*T, error), change, write func(*T) error) (*T, error) {
	for try := 1; ; try++ {
		object, err := read()
		if err != nil {
			return nil, err
		}
		if err := change(object); err != nil {
			return nil, err
		}
		err = write(object)
		if err == nil {
			return object, nil
		}
		if CodeOf(err) != CodePreconditionFailed || try == maxUpdateTries {
			return nil, err
		}
	}
}
