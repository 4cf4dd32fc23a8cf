package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"hosho/internal/version"
)

// VersionHeader is the response header in which a health check is told the server's version.
const VersionHeader = "hosho-version"

// healthServer tells its version along with its health, so that whoever looks at a system sees what runs in it. Other
// calls are not told: they would pay for it each time.
type healthServer struct{ *health.Server }

func (s healthServer) Check(
	ctx context.Context, r *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if err := grpc.SetHeader(ctx, versionHeader()); err != nil {
		return nil, err
	}
	return s.Server.Check(ctx, r)
}

func (s healthServer) Watch(
	r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse],
) error {
	if err := stream.SetHeader(versionHeader()); err != nil {
		return err
	}
	return s.Server.Watch(r, stream)
}

func versionHeader() metadata.MD { return metadata.Pairs(VersionHeader, version.String()) }
