package files

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk/internal/wire"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// listBatch is the maximum number of objects in a response of List. listDelay is the time after which
// an incomplete batch is sent.
const (
	listBatch = 1000
	listDelay = 100 * time.Millisecond
)

// server implements the gRPC service with a Backend.
type server struct {
	filesv1.UnimplementedFilesServiceServer
	backend Backend
}

func (s *server) Stat(ctx context.Context, req *filesv1.StatRequest) (*filesv1.StatResponse, error) {
	if err := CheckKey(req.GetKey()); err != nil {
		return nil, wire.ToStatus(err)
	}
	o, err := s.backend.Stat(ctx, req.GetKey())
	if err == nil && o == nil {
		err = internalError("the backend returned neither an object nor an error")
	}
	if err != nil {
		return nil, wire.ToStatus(err)
	}
	return &filesv1.StatResponse{Object: fromObject(o)}, nil
}

func (s *server) Get(req *filesv1.GetRequest, stream grpc.ServerStreamingServer[filesv1.GetResponse]) error {
	if err := CheckKey(req.GetKey()); err != nil {
		return wire.ToStatus(err)
	}
	if req.GetOffset() < 0 || req.GetLength() < 0 {
		return wire.ToStatus(invalid("the offset and the length must not be negative"))
	}
	rc, err := s.backend.Get(stream.Context(), req.GetKey(), req.GetOffset(), req.GetLength())
	if err != nil {
		return wire.ToStatus(err)
	}
	defer rc.Close()
	message := &filesv1.GetResponse{}
	readErr, err := sendChunks(rc, func(b []byte) error {
		message.Data = b // Send does not retain it
		return stream.Send(message)
	})
	if readErr != nil {
		return wire.ToStatus(readErr)
	}
	return err
}

func (s *server) Put(stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil {
		return wire.ToStatus(invalid("the first message of a Put must be open"))
	}
	if err := CheckKey(open.GetKey()); err != nil {
		return wire.ToStatus(err)
	}
	if open.GetSize() < -1 {
		return wire.ToStatus(invalid("the size must be 0 or more, or -1 when it is unknown"))
	}
	r := newPutReader(stream, open.GetSize())
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		return wire.ToStatus(r.err)
	}
	stored, err := s.backend.Put(stream.Context(), open.GetKey(), r,
		PutOptions{Size: open.GetSize(), ContentType: open.GetContentType()})
	switch {
	case err != nil:
		return wire.ToStatus(err)
	case stored == nil:
		return wire.ToStatus(internalError("the backend returned neither a result nor an error"))
	case !errors.Is(r.err, io.EOF) || len(r.data) > 0 || stored.Size != r.received:
		return wire.ToStatus(internalError("the backend reported success, but it did not read the whole object"))
	}
	return stream.SendAndClose(&filesv1.PutResponse{Size: stored.Size, Sha256: stored.SHA256[:]})
}

func (s *server) Delete(ctx context.Context, req *filesv1.DeleteRequest) (*filesv1.DeleteResponse, error) {
	err := CheckKey(req.GetKey())
	if err == nil {
		err = s.backend.Delete(ctx, req.GetKey())
	}
	if err != nil {
		return nil, wire.ToStatus(err)
	}
	return &filesv1.DeleteResponse{}, nil
}

func (s *server) List(req *filesv1.ListRequest, stream grpc.ServerStreamingServer[filesv1.ListResponse]) error {
	var batch []*filesv1.Object
	send := func() error {
		err := stream.Send(&filesv1.ListResponse{Objects: batch})
		batch = batch[:0]
		return err
	}
	sent := time.Now()
	for o, err := range s.backend.List(stream.Context(), req.GetPrefix(), req.GetAfter()) {
		if err != nil {
			return wire.ToStatus(err)
		}
		if CheckKey(o.Key) != nil {
			continue // not stored by the host: no request could use this key
		}
		batch = append(batch, fromObject(&o))
		if len(batch) < listBatch && time.Since(sent) < listDelay {
			continue
		}
		if err := send(); err != nil {
			return err
		}
		sent = time.Now()
	}
	if len(batch) == 0 {
		return nil
	}
	return send()
}

func (s *server) Presign(ctx context.Context, req *filesv1.PresignRequest) (*filesv1.PresignResponse, error) {
	p, ok := s.backend.(Presigner)
	if !ok {
		return s.UnimplementedFilesServiceServer.Presign(ctx, req)
	}
	if err := CheckKey(req.GetKey()); err != nil {
		return nil, wire.ToStatus(err)
	}
	url, err := p.Presign(ctx, PresignRequest{
		Key: req.GetKey(), Expires: time.Duration(req.GetExpiresS()) * time.Second,
		ContentDisposition: req.GetContentDisposition(), ContentType: req.GetContentType(),
	})
	if err != nil {
		return nil, wire.ToStatus(err)
	}
	return &filesv1.PresignResponse{Url: url}, nil
}
