// Passes arguments and results between the component model and the functions in `tool.go`, as its canonical ABI says:
// https://component-model.bytecodealliance.org/advanced/canonical-abi.html
//
// For a function of your own, write one `//go:wasmexport` with its name in `wit/tool.wit`. A string or list comes as a pointer
// and a length. A result of more than one number goes out as a pointer to a struct, laid out as in C with 32-bit pointers.
package main

import "unsafe"

// `result<counts, string>`, which `count` gives back. Static: Go does not move it, and an instance makes one call.
var countResult struct {
	isErr uint32
	_     uint32
	// In its place, where there is an error: the text's address and length, 32 bits each.
	counts Counts
}

//go:wasmexport count
func exportCount(path unsafe.Pointer, length uint32) unsafe.Pointer {
	counts, err := count(taken(path, length))
	countResult.isErr, countResult.counts = 0, counts
	if err != nil {
		countResult.isErr = 1
		*(*text)(unsafe.Pointer(&countResult.counts)) = given(err.Error())
	}
	return unsafe.Pointer(&countResult)
}

// A string as the component model has it: Go's own pointers have 64 bits here.
type text struct {
	at     uint32
	length uint32
}

// A string that the host put into memory which it got from cabiRealloc.
func taken(at unsafe.Pointer, length uint32) string {
	if length == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(at), length))
}

// A string for the host.
func given(words string) text {
	bytes := []byte(words)
	kept = append(kept, bytes)
	return text{address(bytes), uint32(len(bytes))}
}

func address(bytes []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
}

// What the host was given, so that it is not collected: it ends with the instance, after one call.
var kept [][]byte

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
