// Package webclient is a browser client of the classic protocol: one JavaScript module
// without dependencies, which keeps a page connected. The example application and the
// admin pages serve it; other pages can copy it.
//
// It shows nothing on the page and makes no tokens: a function of the page fetches them.
package webclient

import _ "embed"

// Script is the module centrifuge.js in UTF-8, to be served as text/javascript. Its
// comments describe its exports. Do not change it.
//
//go:embed centrifuge.js
var Script []byte
