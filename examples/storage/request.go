// The program that serves requests, and calls storage.go. Argument: the port to listen on.
package main

// #cgo CFLAGS: -I../../guestlib
// #cgo LDFLAGS: -lkvmserverguest
// #include <kvmserverguest.h>
import "C"

import (
	"fmt"
	"net/http"
	"os"
	"unsafe"
)

var own int // in an ephemeral machine it is the same in every request

func serve(w http.ResponseWriter, r *http.Request) {
	var buffer [256]byte
	copy(buffer[:255], r.URL.Path[1:])
	length, err := C.kvmserverguest_remote_resume(unsafe.Pointer(&buffer[0]), C.ssize_t(len(buffer)))
	if length < 0 {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	own++
	fmt.Fprintf(w, "%s (own count %d)\n", buffer[:length], own)
}

func main() {
	http.HandleFunc("/", serve)
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
