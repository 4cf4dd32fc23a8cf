// Package browsertest looks at the console as people do: in a real browser, on real processes. It is a module of its
// own, so that the project does not depend on what drives a browser.
//
// Its promise: what a test says a person sees was on the page, in Chromium, after the daemons did it. Where there is no
// Chromium the tests are left out, and say so: make chromium installs it.
package browsertest
