// Package docs tests that the Markdown documents of the repository are true: links
// lead somewhere, shell commands run, code works or equals the code of the
// repository, make targets exist, and generated tables are up to date.
//
// It holds tests only. They read every document as it is. A command that cannot run
// next to a local stack, for example because it needs an AWS account, is on a list
// with the reason. The package does not know what a document should say.
package docs
