package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

// serve answers every request with an empty 200 at the least cost, so that most of the CPU
// is left to the measured client. It prints its address. It ends when its standard input
// ends, and so with its parent process.
func serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = answer(conn)
		}()
	}
}

var (
	ok            = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	contentLength = []byte("Content-Length: ")
)

// answer serves one connection until the client closes it.
func answer(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 8<<10)
	for {
		length := 0
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
			if value, found := bytes.CutPrefix(line, contentLength); found {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return err
				}
			}
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return err
		}
		if _, err := conn.Write(ok); err != nil {
			return err
		}
	}
}
