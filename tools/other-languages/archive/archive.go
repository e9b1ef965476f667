// Looks into archives and takes files out of them. `wit/archive.wit` says what is offered, `component.go` passes arguments and
// results on, `walk.go` knows the formats.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

const (
	// Where the granted folder appears: the `mount` in `tool.toml`.
	folder = "/data"
	// More than this drowns a model.
	entriesMax   = 1000
	textBytesMax = 256 << 10
)

// An entry of an archive.
type entry struct {
	path     string
	bytes    uint64
	isFolder bool
}

// What ends a walk before the end of the archive.
var errFound = errors.New("found")

func list(archive string) (entries []entry, leftOut uint64, err error) {
	err = walk(resolved(archive), func(one entry, _ io.Reader) error {
		if len(entries) < entriesMax {
			entries = append(entries, one)
		} else {
			leftOut++
		}
		return nil
	})
	return entries, leftOut, err
}

func read(archive, wanted string) (string, error) {
	var text []byte
	err := walk(resolved(archive), func(one entry, content io.Reader) error {
		if one.isFolder || clean(one.path) != clean(wanted) {
			return nil
		}
		var err error
		if text, err = io.ReadAll(io.LimitReader(content, textBytesMax)); err != nil {
			return err
		}
		return errFound
	})
	switch {
	case err == nil:
		return "", fmt.Errorf("there is no file `%s` in it: `list` says what there is", wanted)
	case !errors.Is(err, errFound):
		return "", err
	case len(text) == textBytesMax:
		text = wholeCharacters(text)
	}
	if !utf8.Valid(text) {
		return "", fmt.Errorf("`%s` is not text: `extract` takes it out", wanted)
	}
	return string(text), nil
}

// A cut may have gone through a character.
func wholeCharacters(text []byte) []byte {
	for cut := 0; cut < utf8.UTFMax && cut < len(text); cut++ {
		if utf8.Valid(text[:len(text)-cut]) {
			return text[:len(text)-cut]
		}
	}
	return text
}

func extract(archive, into, only string) (files uint32, bytes uint64, err error) {
	root := resolved(into)
	err = walk(resolved(archive), func(one entry, content io.Reader) error {
		name := clean(one.path)
		if only != "" && name != clean(only) && !strings.HasPrefix(name, clean(only)+"/") {
			return nil
		}
		// The host would refuse to go outside; an honest archive does not try.
		if !fs.ValidPath(name) {
			return fmt.Errorf("`%s` would lie outside of the folder: nothing of this archive is to be trusted", one.path)
		}
		if one.isFolder {
			return os.MkdirAll(path.Join(root, name), 0o777)
		}
		written, err := write(path.Join(root, name), content)
		files++
		bytes += uint64(written)
		return err
	})
	if err == nil && files == 0 && only != "" {
		err = fmt.Errorf("there is no `%s` in it: `list` says what there is", only)
	}
	return files, bytes, err
}

func write(to string, content io.Reader) (int64, error) {
	if err := os.MkdirAll(path.Dir(to), 0o777); err != nil {
		return 0, err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return 0, err
	}
	written, err := io.Copy(file, content)
	return written, errors.Join(err, file.Close())
}

// A path of the granted folder.
func resolved(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(folder, name)
}

// A path within an archive, without what does not tell two of them apart.
func clean(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
}

func main() {}
