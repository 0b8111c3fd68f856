package api

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// requiredMark begins the message of a missing field; its name follows.
const requiredMark = "required: "

// Huma keeps these for the whole process, so they are set once, before any API
// is made: the words of its validation, and our error for every one of its own.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaError(nil, status, message, errs...)
	}
	huma.NewErrorWithContext = humaError

	validation.MsgExpectedRequiredProperty = requiredMark + "%s"
	validation.MsgUnexpectedProperty = "Unknown field"
	validation.MsgExpectedBoolean = "Must be true or false"
	validation.MsgExpectedNumber = "Must be a number"
	validation.MsgExpectedInteger = "Must be an integer"
	validation.MsgExpectedString = "Must be a string"
	validation.MsgExpectedArray = "Must be an array"
	validation.MsgExpectedObject = "Must be an object"
	validation.MsgExpectedOneOf = "Must be one of: %s"
	validation.MsgExpectedMinimumNumber = "Must be at least %v"
	validation.MsgExpectedMaximumNumber = "Must be at most %v"
	validation.MsgExpectedMinLength = "Must be at least %d characters long"
	validation.MsgExpectedMaxLength = "Must be at most %d characters long"
	validation.MsgExpectedMaxItems = "Must have at most %d items"
	validation.MsgExpectedArrayItemsUnique = "Must not have an item twice"
	validation.MsgExpectedBePattern = "%s" // each pattern's description is a sentence
	validation.MsgExpectedRFC5322Email = "Must be an email address, like name@example.com"
	validation.MsgExpectedRFC3339DateTime = "Must be a time, like 2025-01-31T12:00:00Z"
}
