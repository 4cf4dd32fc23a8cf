package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

var kinds = map[relayv1.ParkedCommand_Kind]order.Command{
	relayv1.ParkedCommand_KIND_CHARGE: order.Charge,
	relayv1.ParkedCommand_KIND_VOID:   order.Void,
}

func toParked(w outbox.Waiting) *relayv1.ParkedCommand {
	p := &relayv1.ParkedCommand{
		OrderId: w.Key, Attempts: int32(w.Attempts), CreateTime: timestamppb.New(w.CreatedAt),
		ParkTime: toTime(w.ParkedAt), DeadlineTime: toTime(w.ExpiresAt),
	}
	for kind, name := range kinds {
		if string(name) == w.Kind {
			p.Kind = kind
		}
	}
	if w.LastCode != nil {
		p.Cause = *w.LastCode
	}
	return p
}

func toTime(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
