package process

import "errors"

// ErrLocked means that another open file, mostly in another process, has the lock.
var ErrLocked = errors.New("file is locked")
