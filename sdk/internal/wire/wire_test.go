package wire

import (
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/sdk"
)

func TestParts_roundTrip(t *testing.T) {
	t.Parallel()
	parts := []sdk.Part{
		{Text: "look:"},
		{Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{1, 2}, Name: "a.png"}},
		{File: &sdk.File{ID: "file-1", Name: "b.txt", MediaType: "text/plain; charset=utf-8", Size: 3 << 30}},
	}
	if got := ToParts(FromParts(parts)); !reflect.DeepEqual(got, parts) {
		t.Errorf("ToParts(FromParts(%+v)) = %+v", parts, got)
	}
}

func TestToStatus_noSpace(t *testing.T) {
	t.Parallel()
	full := &sdk.Error{Code: sdk.CodeNoSpace, Message: "the disk is full"}
	st := ToStatus(full)
	if status.Code(st) != codes.ResourceExhausted {
		t.Errorf("ToStatus = %v, want code %s", st, codes.ResourceExhausted)
	}
	if got := AsError(FromStatus(st)); *got != *full {
		t.Errorf("AsError(FromStatus(%v)) = %+v, want %+v", st, got, full)
	}
}
