// Builds kustomizations with kustomize itself, many in one process.
//
// Each line of standard input is a case: its files, the directory to build, the order and the load
// restriction. Each line of standard output is what kustomize makes of it, and how long that took.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

type request struct {
	// Paths below the root of a file system in memory, with their contents.
	Files map[string]string `json:"files"`
	// Those that are no text.
	Binary map[string][]byte `json:"binary"`
	// A directory on disk in place of files.
	Disk string `json:"disk"`
	// The directory to build.
	Root string `json:"root"`
	// As --reorder: none, legacy, or nothing.
	Reorder string `json:"reorder"`
	// Whether only files in or below the root may be read.
	RootOnly bool `json:"rootOnly"`
}

type answer struct {
	YAML  string `json:"yaml"`
	Error string `json:"error,omitempty"`
	// Of the build alone, without reading the case.
	Nanoseconds int64 `json:"nanoseconds"`
}

func main() {
	// Warnings about deprecated fields are many and say nothing here.
	log.SetOutput(io.Discard)
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 || err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		if err := out.Encode(build(asked)); err != nil {
			panic(err)
		}
	}
}

func build(asked request) (found answer) {
	var files filesys.FileSystem
	root := filepath.Join("/case", asked.Root)
	if asked.Disk != "" {
		files, root = filesys.MakeFsOnDisk(), filepath.Join(asked.Disk, asked.Root)
	} else {
		files = filesys.MakeFsInMemory()
		for path, text := range asked.Files {
			if err := files.WriteFile(filepath.Join("/case", path), []byte(text)); err != nil {
				panic(err)
			}
		}
		for path, bytes := range asked.Binary {
			if err := files.WriteFile(filepath.Join("/case", path), bytes); err != nil {
				panic(err)
			}
		}
	}
	// Schemas are global in kustomize; one that a case brings must not reach the next.
	for _, text := range asked.Files {
		if strings.Contains(text, "openapi") {
			openapi.ResetOpenAPI()
			defer openapi.ResetOpenAPI()
			break
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOption(asked.Reorder)
	if asked.Reorder == "" {
		options.Reorder = krusty.ReorderOptionUnspecified
	}
	options.LoadRestrictions = types.LoadRestrictionsNone
	if asked.RootOnly {
		options.LoadRestrictions = types.LoadRestrictionsRootOnly
	}
	start := time.Now()
	defer func() {
		found.Nanoseconds = time.Since(start).Nanoseconds()
		if cause := recover(); cause != nil {
			found.YAML, found.Error = "", fmt.Sprint("panic: ", cause)
		}
	}()
	objects, err := krusty.MakeKustomizer(options).Run(files, root)
	if err != nil {
		return answer{Error: err.Error()}
	}
	text, err := objects.AsYaml()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{YAML: string(text)}
}
