package load

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rules"
)

// ranks are the statuses' places on the way through the saga: every legal path goes up.
var ranks = map[orderv1.Order_Status]int{
	orderv1.Order_STATUS_PENDING: 1, orderv1.Order_STATUS_COMPLETED: 2,
	orderv1.Order_STATUS_CANCELLING: 3, orderv1.Order_STATUS_CANCELLED: 4,
}

var rankOf = map[string]int{"PENDING": 1, "COMPLETED": 2, "CANCELLING": 3, "CANCELLED": 4}

// Contradiction is something that a client was told and that is not so.
type Contradiction struct {
	Rule   rules.ID
	Detail string
	Lost   bool // an acknowledged order does not exist
}

func (c Contradiction) String() string { return string(c.Rule) + " " + c.Detail }

// Wrong returns what contradicted itself at once, so far.
func (l *Load) Wrong() []Contradiction {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.wrong)
}

// Check holds what the clients were told against the orders database, and returns every contradiction. Call it after
// Run has returned.
func (l *Load) Check(ctx context.Context, orders *pgxpool.Pool) ([]Contradiction, error) {
	wrong := l.Wrong()
	const window = 5000
	for from := 0; from < len(l.told); from += window {
		told := l.told[from:min(from+window, len(l.told))]
		now, err := statuses(ctx, orders, told)
		if err != nil {
			return nil, err
		}
		for _, t := range told {
			wrong = append(wrong, t.against(now[t.OrderID])...)
		}
	}
	return wrong, nil
}

// against returns what contradicts the order's status now, which is empty when there is no such order.
func (t *Told) against(now string) (wrong []Contradiction) {
	add := func(rule rules.ID, format string, args ...any) {
		wrong = append(wrong, Contradiction{Rule: rule, Detail: fmt.Sprintf(format, args...), Lost: now == ""})
	}
	if now == "" {
		add(rules.I10, "order %s was acknowledged and does not exist", t.OrderID)
		return wrong
	}
	last := 0
	for _, s := range t.Statuses {
		if ranks[s] < last {
			add(rules.I10, "order %s went back: %v", t.OrderID, t.Statuses)
		}
		last = ranks[s]
	}
	if rankOf[now] < last {
		add(rules.I10, "order %s is %s after it was seen as %v", t.OrderID, now, t.Statuses)
	}
	if t.Cancelled && (now == "PENDING" || now == "COMPLETED") {
		add(rules.I11, "order %s is %s although its cancellation was acknowledged", t.OrderID, now)
	}
	return wrong
}

func statuses(ctx context.Context, orders *pgxpool.Pool, told []*Told) (map[string]string, error) {
	ids := make([]string, len(told))
	for i, t := range told {
		ids[i] = t.OrderID
	}
	rows, _ := orders.Query(ctx, `
		SELECT id::text, status
		FROM orders
		WHERE id = ANY($1::uuid[])`, ids) // ForEachRow returns the error
	found := map[string]string{}
	var id, status string
	_, err := pgx.ForEachRow(rows, []any{&id, &status}, func() error {
		found[id] = status
		return nil
	})
	return found, err
}
