// Package docs holds README.md to what it says: its links lead somewhere, its
// commands run, its code works or is that of the repository, its make targets exist.
//
// All of it is tests, which read the README as it is. What cannot be run beside a
// local stack, because it wants AWS or is a test run itself, is named there with the
// reason; the package knows nothing of what the README should say.
package docs
