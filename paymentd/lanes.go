package main

import (
	"context"

	"golang.org/x/sync/semaphore"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
)

// turn waits until one may be at work on the database. Whoever may calls leave when it is done.
type turn func(context.Context) (leave func(), err error)

// lanes is who may be at work on the database at a time. Each kind of work has a share of its own: charges that are
// stuck keep no void from giving money back. All statements together are no more than the pools have connections, so
// that nobody waits for one of these.
//
// Calls are refused when they would wait for long. Requests of streams wait for as long as it takes: their clients are
// slowed by flow control (room). What both ask for is decided together, by a teller of each kind.
type lanes struct {
	charge, void, read, introduction *admission.Lane // of calls

	charging, voiding int                 // statements that decide, at a time
	lookups           *semaphore.Weighted // of what must be looked up first
}

// newLanes divides the pools: of 16 connections that write, and the 8 that read, 14 and 7 are given away.
func newLanes(writes, reads int) lanes {
	return lanes{
		charge:       admission.NewLane("charge", writes/4),
		void:         admission.NewLane("void", writes/8),
		read:         admission.NewLane("read", reads*5/8),
		introduction: admission.NewLane("introduction", reads/4),
		charging:     max(writes*3/8, 1),
		voiding:      max(writes/4, 1),
		lookups:      semaphore.NewWeighted(max(int64(writes)/4, 1)),
	}
}

func lanesOf(pools *pg.Pools) lanes {
	return newLanes(int(pools.Writes.Config().MaxConns), int(pools.Reads.Config().MaxConns))
}

// of returns the lane that a call has a slot of while it is at work. A charge may wait for the card network, and takes
// its slots by itself. Streams are refused by none.
func (l lanes) of(method string) *admission.Lane {
	switch method {
	case paymentv1.PaymentService_VoidPayment_FullMethodName,
		paymentv1.PaymentService_AcceptOrdersDatabase_FullMethodName: // which is as rare, and a person's as well
		return l.void
	case paymentv1.PaymentService_GetPayment_FullMethodName, paymentv1.PaymentService_ListPayments_FullMethodName:
		return l.read
	case paymentv1.PaymentService_GetDatabase_FullMethodName:
		return l.introduction
	}
	return nil
}

// waiting is a turn that is waited for until ctx ends.
func waiting(slots *semaphore.Weighted) turn {
	return func(ctx context.Context) (func(), error) {
		if err := slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		return func() { slots.Release(1) }, nil
	}
}

// atOnce is the turn of a call that has one already.
func atOnce(context.Context) (func(), error) { return func() {}, nil }
