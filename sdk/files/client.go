package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// Client is the host's client of a backend in another process. It implements Backend and Presigner. Its
// errors are *sdk.Error, except that Put returns an error of its reader unchanged. If the plugin's
// process exits, the error has CodePluginCrashed.
type Client struct{ rpc filesv1.FilesServiceClient }

// NewClient returns a Client that uses the connection cc.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: filesv1.NewFilesServiceClient(cc)}
}

// checkUTF8 returns an error for a string that protobuf cannot encode. The plugin checks the other rules
// for keys.
func checkUTF8(s string) error {
	if !utf8.ValidString(s) {
		return badKey("is not UTF-8")
	}
	return nil
}

// Stat implements Backend.
func (c *Client) Stat(ctx context.Context, key string) (*Object, error) {
	if err := checkUTF8(key); err != nil {
		return nil, err
	}
	r, err := c.rpc.Stat(ctx, &filesv1.StatRequest{Key: key})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	o := toObject(r.GetObject())
	return &o, nil
}

// Put implements Backend. If r fails, Put cancels the stream, so that the plugin does not store the
// object.
func (c *Client) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (*Stored, error) {
	if err := checkUTF8(key); err != nil {
		return nil, err
	}
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Put(callCtx)
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	err = stream.Send(&filesv1.PutRequest{Message: &filesv1.PutRequest_Open{Open: &filesv1.PutOpen{
		Key: key, Size: o.Size, ContentType: wire.UTF8(o.ContentType),
	}}})
	var sent int64
	if err == nil {
		data := &filesv1.PutRequest_Data{}
		message := &filesv1.PutRequest{Message: data}
		var readErr error
		readErr, err = sendChunks(r, func(b []byte) error {
			data.Data = b // Send does not retain it
			sent += int64(len(b))
			return stream.Send(message)
		})
		if readErr != nil {
			return nil, readErr
		}
	}
	early := errors.Is(err, io.EOF) // the plugin has already responded; the status has its error
	if err != nil && !early {
		return nil, wire.FromCall(ctx, err)
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	if early || answer.GetSize() != sent {
		return nil, internalError("the plugin reported success, but it did not receive the whole object")
	}
	if len(answer.GetSha256()) != sha256.Size {
		return nil, internalError("the SHA-256 digest from the plugin does not have 32 bytes")
	}
	return &Stored{Size: sent, SHA256: [sha256.Size]byte(answer.GetSha256())}, nil
}

// Delete implements Backend.
func (c *Client) Delete(ctx context.Context, key string) error {
	if err := checkUTF8(key); err != nil {
		return err
	}
	_, err := c.rpc.Delete(ctx, &filesv1.DeleteRequest{Key: key})
	if err != nil {
		return wire.FromCall(ctx, err)
	}
	return nil
}

// List implements Backend. It stops reading when the loop over it ends.
func (c *Client) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := errors.Join(checkUTF8(prefix), checkUTF8(after)); err != nil {
			yield(Object{}, wire.AsError(err))
			return
		}
		callCtx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.rpc.List(callCtx, &filesv1.ListRequest{Prefix: prefix, After: after})
		if err != nil {
			yield(Object{}, wire.FromCall(ctx, err))
			return
		}
		for {
			batch, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Object{}, wire.FromCall(ctx, err))
				return
			}
			for _, o := range batch.GetObjects() {
				if !yield(toObject(o), nil) {
					return
				}
			}
		}
	}
}

// Presign implements Presigner. It returns an empty URL if the plugin does not support it.
func (c *Client) Presign(ctx context.Context, r PresignRequest) (string, error) {
	if err := checkUTF8(r.Key); err != nil {
		return "", err
	}
	answer, err := c.rpc.Presign(ctx, &filesv1.PresignRequest{
		Key: r.Key, ExpiresS: seconds(r.Expires),
		ContentDisposition: wire.UTF8(r.ContentDisposition), ContentType: wire.UTF8(r.ContentType),
	})
	if status.Code(err) == codes.Unimplemented {
		return "", nil
	}
	if err != nil {
		return "", wire.FromCall(ctx, err)
	}
	return answer.GetUrl(), nil
}

// internalError returns an error with CodeInternal.
func internalError(message string) error {
	return &sdk.Error{Code: sdk.CodeInternal, Message: message}
}
