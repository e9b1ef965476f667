// Passes arguments and results between the component model and the functions in `archive.go`, as its canonical ABI says. A string or
// list is a pointer and a length, an option a number and then its value. A result of more than one number goes out as a pointer to
// a struct, laid out as in C with 32-bit pointers.
package main

import "unsafe"

// A string or list as the component model has it: Go's own pointers have 64 bits here.
type span struct {
	at     uint32
	length uint32
}

// `result<listing, string>`.
var listResult struct {
	isErr   uint32
	_       uint32
	entries span // or the error
	leftOut uint64
}

// `entry`.
type entryOut struct {
	path     span
	bytes    uint64
	isFolder bool
	_        [7]byte
}

//go:wasmexport list
func exportList(path unsafe.Pointer, length uint32) unsafe.Pointer {
	entries, leftOut, err := list(taken(path, length))
	out := make([]entryOut, len(entries))
	for index, one := range entries {
		out[index] = entryOut{path: given(one.path), bytes: one.bytes, isFolder: one.isFolder}
	}
	listResult.isErr, listResult.leftOut = failed(err), leftOut
	listResult.entries = span{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(out)))), uint32(len(out))}
	kept = append(kept, out)
	if err != nil {
		listResult.entries = given(err.Error())
	}
	return unsafe.Pointer(&listResult)
}

// `result<string, string>`.
var readResult struct {
	isErr uint32
	text  span // or the error
}

//go:wasmexport read
func exportRead(path unsafe.Pointer, length uint32, entry unsafe.Pointer, entryLength uint32) unsafe.Pointer {
	text, err := read(taken(path, length), taken(entry, entryLength))
	if err != nil {
		text = err.Error()
	}
	readResult.isErr, readResult.text = failed(err), given(text)
	return unsafe.Pointer(&readResult)
}

// `result<extracted, string>`.
var extractResult struct {
	isErr uint32
	_     uint32
	files uint32 // or where the error is
	other uint32 // or how long it is
	bytes uint64
}

//go:wasmexport extract
func exportExtract(
	path unsafe.Pointer, length uint32,
	into unsafe.Pointer, intoLength uint32,
	isOnly uint32, only unsafe.Pointer, onlyLength uint32,
) unsafe.Pointer {
	part := ""
	if isOnly == 1 {
		part = taken(only, onlyLength)
	}
	files, bytes, err := extract(taken(path, length), taken(into, intoLength), part)
	extractResult.isErr, extractResult.files, extractResult.bytes = failed(err), files, bytes
	if err != nil {
		said := given(err.Error())
		extractResult.files, extractResult.other = said.at, said.length
	}
	return unsafe.Pointer(&extractResult)
}

func failed(err error) uint32 {
	if err != nil {
		return 1
	}
	return 0
}

// A string that the host put into memory which it got from cabiRealloc.
func taken(at unsafe.Pointer, length uint32) string {
	if length == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(at), length))
}

// What the host was given, so that it is not collected: it ends with the instance, after one call.
var kept []any

func given(text string) span {
	bytes := []byte(text)
	kept = append(kept, bytes)
	return span{address(bytes), uint32(len(bytes))}
}

func address(bytes []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
}

// Go's runtime asks for its arguments and environment while it starts, and the host wants memory for them when nothing can
// be allocated yet. It gets this.
var (
	early     [256 << 10]byte
	earlyUsed uint32
	isStarted bool
)

func init() { isStarted = true }

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !isStarted {
		base := uint32(uintptr(unsafe.Pointer(&early)))
		at := (base+earlyUsed+align-1)&^(align-1) - base
		if at+size > uint32(len(early)) {
			panic("the environment is too large")
		}
		earlyUsed = at + size
		return unsafe.Add(unsafe.Pointer(&early), at)
	}
	if size == 0 {
		return unsafe.Pointer(uintptr(align))
	}
	memory := make([]byte, size+align)
	kept = append(kept, memory)
	new := unsafe.Pointer(&memory[(align-address(memory)%align)%align])
	if old != nil && oldSize > 0 {
		copy(unsafe.Slice((*byte)(new), size), unsafe.Slice((*byte)(old), min(oldSize, size)))
	}
	return new
}
