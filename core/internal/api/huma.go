package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/agentarea/agentarea/core"
)

const (
	// requiredMark begins Huma's message about a missing field. The field's name follows.
	requiredMark = "required: "
	// unknownField is Huma's message about a field that the schema does not have.
	unknownField = "Unknown field"
	// maxFieldErrors is the maximum number of invalid fields in a reply.
	maxFieldErrors = 50
)

// Huma keeps these settings for the whole process, so they are set before any API is made: the
// messages of its validation, and our error type instead of Huma's.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaError(nil, status, message, errs...)
	}
	huma.NewErrorWithContext = humaError

	validation.MsgExpectedRequiredProperty = requiredMark + "%s"
	validation.MsgUnexpectedProperty = unknownField
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
	validation.MsgExpectedMinItems = "Must contain at least %d items"
	validation.MsgExpectedMaxItems = "Must contain at most %d items"
	validation.MsgExpectedArrayItemsUnique = "Must not contain duplicates"
	validation.MsgExpectedBePattern = "%s" // each pattern's description is a sentence
	validation.MsgExpectedMatchPattern = "Must match the regular expression %s"
	// Huma appends its error to this format. A precision of 0 omits it.
	validation.MsgExpectedRFC5322Email = "Must be an email address such as name@example.com%.0v"
	validation.MsgExpectedRFC3339DateTime = "Must be a time such as 2026-11-30T12:00:00Z"
	validation.MsgExpectedRFC3339Date = "Must be a date such as 2026-11-30"
}

// issues replaces messages of Huma that cannot be set above.
var issues = map[string]string{
	"invalid integer":                     "Must be an integer",
	"invalid float":                       "Must be a number",
	"invalid boolean":                     "Must be true or false",
	"required path parameter is missing":  "Parameter is required",
	"required query parameter is missing": "Parameter is required",
	"Must be at least 1 characters long":  "Must not be empty",
	"Must contain at least 1 items":       "Must contain at least one item",
}

// singular corrects the nouns of Huma's messages.
var singular = strings.NewReplacer(" 1 characters", " 1 character", " 1 items", " 1 item")

// humaError converts every error that passes through Huma: its own about the input, and those of
// handlers.
func humaError(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	err := humaCause(ctx, status, message, errs)
	if ctx == nil {
		return NewErrorReply(err, "")
	}
	req := RequestFrom(ctx.Context())
	e := NewErrorReply(err, req.ID)
	namePathField(ctx, e)
	e.prepare(req, ctx.SetHeader)
	return e
}

// namePathField names the path parameter that holds the id of the object which the error is about, unless the error
// names a field already.
func namePathField(ctx huma.Context, e *ErrorReply) {
	d := &e.Failure.Details
	if d.Field != "" || d.ID == "" {
		return
	}
	for _, p := range ctx.Operation().Parameters {
		if p.In == "path" && ctx.Param(p.Name) == d.ID {
			d.Field, d.Issue = p.Name, e.Failure.Message
			return
		}
	}
}

// writeHumaError answers with an error before the handler.
func writeHumaError(h huma.API, ctx huma.Context, err error) {
	_ = huma.WriteErr(h, ctx, http.StatusInternalServerError, "", err) // Huma logs a failed write
}

// humaCause returns the error that Huma's arguments stand for.
func humaCause(ctx huma.Context, status int, message string, errs []error) error {
	if status >= http.StatusInternalServerError || status == 0 {
		return errors.Join(errs...)
	}
	e := &core.Error{Code: core.CodeValidation, Message: "Invalid request data"}
	for _, err := range errs {
		var detail *huma.ErrorDetail
		var own *core.Error
		switch {
		case errors.As(err, &detail):
			e.Fields = append(e.Fields, fieldError(detail))
		case errors.As(err, &own):
			e.Fields = append(e.Fields, own.Fields...)
		}
	}
	// Huma reports unknown fields in the order of a map.
	slices.SortStableFunc(e.Fields, func(a, b core.FieldError) int {
		return strings.Compare(unknownLast(a), unknownLast(b))
	})
	e.Fields = e.Fields[:min(len(e.Fields), maxFieldErrors)]
	explainUnknown(ctx, e.Fields)
	if len(e.Fields) == 0 {
		if message == "request body is required" {
			message = "Body is required: send a JSON object"
		}
		e.Fields = []core.FieldError{{Field: "body", Issue: message}}
	}
	return e
}

// unknownLast returns a key that sorts unknown fields by name, after all other errors.
func unknownLast(f core.FieldError) string {
	if strings.HasPrefix(f.Issue, unknownField) {
		return f.Field
	}
	return ""
}

// explainUnknown adds the known fields to the issues of unknown fields. It is called for the fields of a reply only,
// because a body can have a hundred thousand unknown fields.
func explainUnknown(ctx huma.Context, fields []core.FieldError) {
	if ctx == nil {
		return
	}
	known, _ := ctx.Operation().Metadata[fieldsKey].([]string)
	for i, f := range fields {
		if f.Issue == unknownField && !strings.Contains(f.Field, ".") {
			fields[i].Issue = core.UnknownField(f.Field, known)
		}
	}
}

// fieldError converts an error of Huma about one field or parameter.
func fieldError(d *huma.ErrorDetail) core.FieldError {
	location, field, _ := strings.Cut(d.Location, ".")
	issue := d.Message
	if name, ok := strings.CutPrefix(issue, requiredMark); ok {
		return core.FieldError{Field: joinPath(field, name), Issue: "Field is required"}
	}
	if text, ok := issues[issue]; ok {
		issue = text
	}
	issue = singular.Replace(issue)
	if strings.HasPrefix(issue, "invalid date/time for format") {
		issue = validation.MsgExpectedRFC3339DateTime
	}
	if field == "" {
		field = location
	}
	return core.FieldError{Field: field, Issue: issue}
}
