package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"hosho/internal/console"
	"hosho/internal/lab/demo"
)

// sceneTime bounds one scene: a system that somebody breaks besides need not ever settle its order.
const sceneTime = 2 * time.Minute

// Scene is the scene that is played at present.
func (s *Stage) Scene() console.Scene {
	s.mu.Lock()
	defer s.mu.Unlock()
	scene := console.Scene{Failed: s.failed[console.Scenes]}
	if s.taken[partPaymentd].by == console.Scenes {
		played := demo.Scenes()
		now := played[s.scene]
		scene.Number, scene.Of, scene.Amount, scene.Outage = s.scene+1, len(played), now.Amount, now.Outage
	}
	return scene
}

// Play plays all scenes of the demo, one after the other, each in both worlds at once, and does not wait for the end.
// No fault can be had meanwhile, but for that of the scene with the outage. It returns a console.BusyError when they
// are played already, or something is broken.
func (s *Stage) Play(ctx context.Context) error {
	_, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	right, left, err := s.worlds()
	if err != nil {
		return err
	}
	if err := s.take(hold{by: console.Scenes}, allParts...); err != nil {
		return err
	}
	s.enact(0)
	s.running.Go(func() {
		err := s.play(s.ctx, right, left)
		if err != nil {
			err = errors.Join(err, revive(s.ctx, right), revive(s.ctx, left))
		}
		s.free(s.complain("the scenes", err), allParts...)
	})
	return nil
}

func (s *Stage) play(ctx context.Context, right, left *world) error {
	bounded, cancel := context.WithTimeout(ctx, sceneTime)
	defer cancel()
	if err := left.naive.Reconnect(bounded); err != nil {
		return fmt.Errorf("reach the twin's paymentd: %w", err)
	}
	for i, scene := range demo.Scenes() {
		s.enact(i)
		if err := playBoth(ctx, scene, right, left); err != nil {
			return fmt.Errorf("the order of %d JPY (%s): %w", scene.Amount, scene.Title, err)
		}
	}
	return nil
}

// enact notes which scene is played.
func (s *Stage) enact(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scene = i
}

// playBoth fails when an order of hosho ends otherwise than it must. How the twin's end is the twin's affair.
func playBoth(ctx context.Context, scene demo.Scene, right, left *world) error {
	ctx, cancel := context.WithTimeout(ctx, sceneTime)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		got, err := right.saga.Play(ctx, scene)
		if err == nil && got != scene.Ends {
			err = fmt.Errorf("it ended %s, and must end %s", got, scene.Ends)
		}
		return err
	})
	group.Go(func() error {
		_, err := left.naive.Play(ctx, scene)
		return err
	})
	return group.Wait()
}

// revive starts a paymentd that a scene has left killed.
func revive(ctx context.Context, w *world) error {
	if runs(w.paymentd) {
		return nil
	}
	return start(ctx, w.paymentd)
}
