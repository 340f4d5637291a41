package hub

import (
	"errors"
	"fmt"
)

// failures are the errors of many equal steps, as one error. It keeps only the first, so that its
// text has a bounded length. It is not safe for concurrent use.
//
//nolint:errname // it has the name of what it counts
type failures struct {
	first error
	count int
}

// add ignores nil. The failures in others are counted one by one.
func (f *failures) add(err error) {
	if err == nil {
		return
	}
	one := &failures{err, 1}
	if others, ok := errors.AsType[*failures](err); ok {
		one = others
	}
	if f.count == 0 {
		f.first = one.first
	}
	f.count += one.count
}

// err is nil where there are none, and a single one is itself.
func (f *failures) err() error {
	switch f.count {
	case 0:
		return nil
	case 1:
		return f.first
	}
	return f
}

func (f *failures) Error() string { return fmt.Sprintf("%d failures, such as: %v", f.count, f.first) }

func (f *failures) Unwrap() error { return f.first }
