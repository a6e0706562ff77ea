// Prints the verdicts of Flux's ignore matcher for ../ignore.tsv: go run . > ../ignore.tsv
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"strings"

	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

func main() {
	patterns := []string{"*.jpg", "a", "a/", "/a", "/a/", "a/b", "/a/b", "a/**", "**/a", "**/a/b", "a/**/b", "a/**/b/", "a/*/c", "a/b/*", "*", "/*", "/*/", "*/", "!a", "!a/b", "!/a/**", "**", "**/", "/**", "/**/a", "a**/b", "**a/b", "a/**b", "[ab]", "[^a]", "[a-c]/b", "[", "a[", "[]", "[a", "[a-]", "[-a]", "[^]", "\\a", "\\", "a\\", "?", "a?", "?/b", "*.yaml", "/*.yaml", "a/*.yaml", "**/*.yaml", "a/**/*.yaml", "x ", "x\\ ", "a b", " a", "a//b", "//a", "a/./b", "../a", "!", "!!a", "/", "//", "a*c", "a*b*c", "*a*", "**/.sops.yaml", ".github/", ".git/", "a/**/**/b", "**/**", "**/**/b", "a/**/", "[a-b]*", "*[.]yaml", "ü*", "\\!a", "\\#a", "#a", "[\\]a]", "a/[^b]/c", "a/b/c/d/e", "/a/**/c/d", "**/b/**", "**/b/**/d", "b/**/d/"}
	paths := []string{"a", "b", "c", "x", "x ", "a/b", "a/c", "b/a", "a/b/c", "a/b/a", "b/a/b", "a/x/b", "a/x/y/b", "a/x/y/b/z", "x.yaml", "a/x.yaml", "a/b/x.yaml", "p.jpg", "a/p.jpg", "abc", "axbxc", "ab/b", "ba/b", "a b", " a", ".sops.yaml", "a/.sops.yaml", ".github", ".github/w/x", ".git", ".git/config", "a/.git/config", "!a", "#a", "]", "-", "über", "a/b/c/d/e", "a/b/c/d", "c/d", "b/d", "b/c/d", "z/b/c/d", "a.yaml/b", "[", "\\", "\\a", "x\\ "}
	segs := []string{"a", "b", "*", "**", "?", "a*", "", "[ab]", "c"}
	names := []string{"a", "b", "c", "ab"}
	r := rand.New(rand.NewSource(7))
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	emit := func(p, path string, dir bool) {
		res := gitignore.ParsePattern(p, nil).Match(strings.Split(path, "/"), dir)
		k := "f"
		if dir {
			k = "d"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p, path, k, []string{"none", "exclude", "include"}[res])
	}
	sample := len(os.Args) == 1 // any argument: everything, to compare once
	for _, p := range patterns {
		for _, path := range paths {
			for _, d := range []bool{false, true} {
				if !sample || gitignore.ParsePattern(p, nil).Match(strings.Split(path, "/"), d) != 0 || r.Intn(6) == 0 {
					emit(p, path, d)
				}
			}
		}
	}
	n := 200000
	if sample {
		n = 1000
	}
	for i := 0; i < n; i++ {
		var s []string
		for j := 0; j <= 1+r.Intn(4); j++ {
			s = append(s, segs[r.Intn(len(segs))])
		}
		var q []string
		for j := 0; j <= r.Intn(5); j++ {
			q = append(q, names[r.Intn(len(names))])
		}
		emit(strings.Join(s, "/"), strings.Join(q, "/"), r.Intn(2) == 0)
	}
}
