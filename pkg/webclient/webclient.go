// Package webclient is the client of the classic protocol for browsers: one
// JavaScript module without dependencies, which keeps a page connected. The
// example application and the admin pages serve it; other pages have a copy.
//
// It refuses to know what a page shows, and who makes its tokens: it is given a
// function that fetches them.
package webclient

import _ "embed"

// Script is the module, centrifuge.js, in UTF-8. What it exports is described in
// it. To be served as text/javascript, and not to be changed.
//
//go:embed centrifuge.js
var Script []byte
