package daemon

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// bounds are the types of flags that are durations and counts. They have min:"..." and max:"...", which are allowed:
// beyond them nothing sensible is meant.
func bounds() []kong.Option {
	known := kong.NewRegistry().RegisterDefaults()
	duration, count := reflect.TypeFor[time.Duration](), reflect.TypeFor[int]()
	return []kong.Option{
		kong.TypeMapper(duration, bounded{known.ForType(duration)}),
		kong.TypeMapper(count, bounded{known.ForType(count)}),
	}
}

// bounded is a number that is read in kong's own way.
type bounded struct{ number kong.Mapper }

// Decode is called by kong.
func (b bounded) Decode(ctx *kong.DecodeContext, field reflect.Value) error {
	if err := b.number.Decode(ctx, field); err != nil {
		return err
	}
	least, most := ctx.Value.Tag.Get("min"), ctx.Value.Tag.Get("max")
	if least == "" && most == "" {
		return nil
	}
	from, err := b.bound(ctx, least, field.Type())
	if err != nil {
		return err
	}
	to, err := b.bound(ctx, most, field.Type())
	if err != nil {
		return err
	}
	if field.Int() < from || field.Int() > to {
		return fmt.Errorf("got %v, want %s to %s", field.Interface(), least, most)
	}
	return nil
}

// bound reads a bound as the value itself is read.
func (b bounded) bound(ctx *kong.DecodeContext, text string, of reflect.Type) (int64, error) {
	number := reflect.New(of).Elem()
	err := b.number.Decode(ctx.WithScanner(kong.Scan().PushTyped(text, kong.FlagValueToken)), number)
	return number.Int(), err
}
