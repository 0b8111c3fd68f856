// Command testserver is an MCP server for tests. Its first argument selects its behavior.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	arg := func(i int) string { return append(os.Args, make([]string, 5)...)[i] }
	if mode := os.Getenv("TEST_SERVER_MODE"); mode != "" {
		os.Args = []string{os.Args[0], mode}
	}
	switch os.Args[1] {
	case "echo": // repeats each line
		in := bufio.NewReaderSize(os.Stdin, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			os.Stdout.Write(line)
			if err != nil {
				return
			}
		}
	case "env":
		fmt.Printf("%q\n", strings.Join(os.Environ(), "\n"))
		fmt.Printf("{\"env\":%d}\n", len(os.Environ()))
		wait()
	case "exit":
		fmt.Fprintln(os.Stderr, "about to exit")
		code, _ := strconv.Atoi(arg(2))
		os.Exit(code)
	case "invalid-output":
		fmt.Println("Listening on port 3000")
		fmt.Println(`{"half":`)
		fmt.Println(`{"id":1}`)
		wait()
	case "long": // sends an answer that is too long with its id at the end, and another answer
		fmt.Printf("{\"result\":\"%s\",\"nested\":{\"id\":7},\"id\":\"a-1\"}\n", bytes.Repeat([]byte("x"), 40<<20))
		fmt.Println(`{"id":2}`)
		wait()
	case "stderr":
		line := strings.Repeat("e", 1023) + "\n"
		for range 80 << 10 {
			os.Stderr.WriteString(line)
		}
		fmt.Println(`{"id":1}`)
		wait()
	case "never-reads":
		fmt.Println(`{"id":1}`)
		time.Sleep(time.Hour)
	case "ignores-sigterm": // also ignores the end of its input
		signal.Ignore(syscall.SIGTERM)
		fmt.Println(`{"id":1}`)
		time.Sleep(time.Hour)
	case "tree": // leaves processes behind in other process groups and sessions
		for range 3 {
			cmd := exec.Command(os.Args[0], "middle", arg(2))
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Run(); err != nil {
				panic(err)
			}
		}
		fmt.Println(`{"id":1}`)
		if arg(3) == "" {
			time.Sleep(time.Hour)
		}
	case "middle": // exits immediately and orphans its child
		cmd := exec.Command(os.Args[0], "leaf", arg(2))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	case "leaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		time.Sleep(time.Hour)
	case "memory":
		var all [][]byte
		for range 64 {
			all = append(all, bytes.Repeat([]byte("x"), 8<<20))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		_ = all
	case "processes":
		for range 40 {
			_ = exec.Command(os.Args[0], "leaf").Start()
		}
		time.Sleep(time.Hour)
	}
}

// wait returns at the end of the input.
func wait() {
	_, _ = bufio.NewReader(os.Stdin).ReadBytes(0)
}
