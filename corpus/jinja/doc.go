// Package jinja renders chat templates: the part of Jinja that they use.
//
// # How
//
// Parse makes a tree of a template, with the white space rules that chat
// templates are written for (trim_blocks and lstrip_blocks, one newline at the
// end dropped). Render walks the tree with the values given. Values are immutable
// as in Jinja's sandbox: a template changes nothing but its own variables and
// namespaces.
//
// # Failure
//
// What Jinja has and this package has not (a tag, filter, test, method) is an
// error that names it, never a different text. A template can do nothing but
// make text: there are no tags that read files, and the work, the nesting and the
// size of a rendering are bounded, so that none can hang or fill the memory.
//
// That is also why no library does this: those for Go that were measured render
// the usual templates right, but drop white space around {{ }} beside tags or cut
// strings inside characters without a word, and cannot be bounded.
//
// # Who decides
//
// The template, and for what it means the outputs of Jinja2 3.1.6 in testdata.
// One thing differs on purpose: strftime_now tells a fixed day, so that a data
// set renders to the same text on every machine and every day.
package jinja
