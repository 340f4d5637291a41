package hub

import "fmt"

// failures are the errors of many equal steps. Of their texts only the first is kept, so that the
// text of all has a bounded length. It is not safe for concurrent use.
type failures struct {
	first error
	count int
}

// add ignores nil.
func (f *failures) add(err error) {
	if err == nil {
		return
	}
	if f.first == nil {
		f.first = err
	}
	f.count++
}

// err is nil where there are none.
func (f *failures) err() error {
	if f.count > 1 {
		return fmt.Errorf("%d failures, such as: %w", f.count, f.first)
	}
	return f.first
}
