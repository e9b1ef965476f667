// Counts the lines, words and bytes of a text file. `wit/tool.wit` says what is offered, this file does it, and
// `component.go` passes arguments and results on.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// Where the granted folder appears: the `mount` in `tool.toml`.
const folder = "/data"

// Counts is the record of `wit/tool.wit`. Its fields have the same order and sizes there: it is handed out as it lies in memory.
type Counts struct {
	Lines uint64
	Words uint64
	Bytes uint64
}

func count(name string) (Counts, error) {
	if !filepath.IsAbs(name) {
		name = path.Join(folder, name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		// The model reads the error: say what was wrong.
		return Counts{}, fmt.Errorf("cannot read the file: %w", err)
	}
	lines := bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		lines++
	}
	return Counts{uint64(lines), uint64(len(bytes.Fields(text))), uint64(len(text))}, nil
}

func main() {}
