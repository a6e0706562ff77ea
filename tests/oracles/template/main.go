// Renders templates with Go's own text/template and Helm's own functions, many in one process.
//
// Each line of standard input is a case: files in the order of parsing, which of them to render, and the value of its
// dot. Each line of standard output is what came of it: the bytes in base64, or the error as Go says it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"text/template"
	_ "unsafe"

	"helm.sh/helm/v4/pkg/engine"
)

// Helm's engine adds these functions to a template; it does not export it.
//
//go:linkname initFunMap helm.sh/helm/v4/pkg/engine.Engine.initFunMap
func initFunMap(e engine.Engine, t *template.Template)

type file struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type request struct {
	Files  []file `json:"files"`
	Render string `json:"render"`
	Values any    `json:"values"`
	Strict bool   `json:"strict"`
	// Instead of rendering, say what there is to be called.
	Inventory bool `json:"inventory"`
}

type answer struct {
	Output []byte `json:"output"`
	Error  string `json:"error,omitempty"`
}

func render(asked request) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	t := template.New("gotpl")
	if asked.Strict {
		t.Option("missingkey=error")
	} else {
		t.Option("missingkey=zero")
	}
	initFunMap(engine.Engine{Strict: asked.Strict}, t)
	for _, file := range asked.Files {
		if _, err := t.New(file.Name).Parse(file.Text); err != nil {
			return nil, err
		}
	}
	var buffer bytes.Buffer
	err = t.ExecuteTemplate(&buffer, asked.Render, asked.Values)
	return bytes.ReplaceAll(buffer.Bytes(), []byte("<no value>"), nil), err
}

func main() {
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 || err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		if asked.Inventory {
			if err := encoder.Encode(inventory()); err != nil {
				panic(err)
			}
			out.Flush()
			continue
		}
		given := answer{}
		output, err := render(asked)
		if err != nil {
			given.Error = err.Error()
		} else {
			given.Output = output
		}
		if err := encoder.Encode(given); err != nil {
			panic(err)
		}
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
