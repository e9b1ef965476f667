// The formats of archives: each is walked from its first entry to its last, unpacked as it is read.
package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// Called for every entry. What it does not read of the content is skipped.
type visit func(one entry, content io.Reader) error

// How the formats begin.
var (
	zipMark  = []byte("PK")
	gzipMark = []byte{0x1f, 0x8b}
	bzipMark = []byte("BZh")
)

func walk(name string, visit visit) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	begin := bufio.NewReader(file)
	mark, err := begin.Peek(3)
	if err != nil {
		return fmt.Errorf("`%s` is not an archive: it has not even three bytes", name)
	}
	switch {
	case bytes.HasPrefix(mark, zipMark):
		return walkZip(file, visit)
	case bytes.HasPrefix(mark, gzipMark):
		unpacked, err := gzip.NewReader(begin)
		if err != nil {
			return err
		}
		return walkTar(name, unpacked, visit)
	case bytes.HasPrefix(mark, bzipMark):
		return walkTar(name, bzip2.NewReader(begin), visit)
	default:
		return walkTar(name, begin, visit)
	}
}

func walkZip(file *os.File, visit visit) error {
	about, err := file.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(file, about.Size())
	if err != nil {
		return err
	}
	for _, one := range archive.File {
		if err := visitZip(one, visit); err != nil {
			return err
		}
	}
	return nil
}

func visitZip(one *zip.File, visit visit) error {
	about := entry{one.Name, one.UncompressedSize64, one.FileInfo().IsDir()}
	if about.isFolder {
		return visit(about, nil)
	}
	content, err := one.Open()
	if err != nil {
		return fmt.Errorf("`%s`: %w", one.Name, err)
	}
	defer content.Close()
	return visit(about, content)
}

func walkTar(name string, unpacked io.Reader, visit visit) error {
	archive := tar.NewReader(unpacked)
	for {
		one, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, tar.ErrHeader):
			return fmt.Errorf("`%s` is neither a zip nor a tar archive", name)
		case err != nil:
			return err
		}
		// Links and devices are nobody's text, and the host makes none.
		if one.Typeflag != tar.TypeReg && one.Typeflag != tar.TypeDir {
			continue
		}
		about := entry{one.Name, uint64(one.Size), one.Typeflag == tar.TypeDir}
		if err := visit(about, archive); err != nil {
			return err
		}
	}
}
