package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// stepper is a process that takes steps, as its parent sees it.
type stepper struct {
	aroundChild
	stderr      *bytes.Buffer
	first, last said
}

func startStepper(ctx context.Context, env []string, name string, args ...string) (*stepper, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	s := &stepper{stderr: &bytes.Buffer{}}
	cmd.Stderr = s.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.aroundChild = aroundChild{cmd, in, bufio.NewReader(out)}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.end())
	}
	s.first = s.last
	return s, nil
}

// step lets the process take one.
func (s *stepper) step() error {
	if _, err := s.in.Write([]byte("\n")); err != nil {
		return fmt.Errorf("%v: %w\n%s", s.cmd.Args, err, s.stderr)
	}
	return s.listen()
}

// finish tells the process that no more steps are wanted.
func (s *stepper) finish() error {
	if err := s.in.Close(); err != nil {
		return err
	}
	return s.listen()
}

// listen reads what the process says next.
func (s *stepper) listen() error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%v: %w\n%s", s.cmd.Args, err, s.stderr)
	}
	s.last = said{}
	return json.Unmarshal(line, &s.last)
}

// end waits for the process, whose input may be closed already.
func (s *stepper) end() error {
	if err := s.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return s.cmd.Wait()
}
