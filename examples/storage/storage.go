// A storage program for Go, with cgo: go build storage.go
package main

// #cgo CFLAGS: -I../../guestlib
// #cgo LDFLAGS: -lkvmserverguest
// #include <kvmserverguest.h>
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"
)

func main() {
	var at unsafe.Pointer
	for count, answer := 1, 0; ; count++ {
		length, err := C.kvmserverguest_storage_wait_paused(&at, C.ssize_t(answer))
		if length < 0 {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		buffer := unsafe.Slice((*byte)(at), int(length))
		name, _, _ := bytes.Cut(buffer, []byte{0})
		answer = copy(buffer, fmt.Sprintf("Hello %s, number %d\x00", name, count)) - 1
	}
}
