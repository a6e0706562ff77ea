// Prints how Masterminds/semver reads versions and ranges, for ../masterminds.tsv: go run . > ../masterminds.tsv
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"
)

var versions = []string{
	"0.0.0", "0.0.1", "0.0.2", "0.1.0", "0.1.1", "0.2.3", "0.3.0", "1.0.0", "1.0.1", "1.1.0", "1.2.0", "1.2.3", "1.2.4", "1.3.0", "1.10.0", "2.0.0", "2.1.0", "2.3.4", "3.0.0", "11.0.0",
	"0.0.0-0", "0.0.1-a", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.2.3-beta", "1.2.0-0", "2.0.0-rc.1", "2.0.0-0", "1.2.3+b1", "1.2.3-beta+b2", "v1.2.3", "01.002.3", "1", "1.2", "v1.1-beta", "1.0.0-99999999999999999999", "1.0.0--", "1.0.0-a-b.c",
}

var odd = []string{"", "v", "x", "1.", ".1", "1..2", "1.2.3.4", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-0a", "1.2.3-a..b", "1.2.3-a+b+c", "1.2.3+a-b", "V1.2.3", " 1.2.3", "1.2.3 ", "99999999999999999999.0.0", "1.2.3-ä", "vv1", "1.2.3-a_b", "1.2-a", "1-a.b", "1+x", "-1.2.3", "1.2.3-00", "1.2.3-0", "1.2.3+00"}

var ranges = []string{
	"", " ", "*", "x", "X", "1", "1.x", "1.2", "1.2.x", "1.x.3", "1.2.3", "v1.2.3", "=1.2.3", "= 1.2", "!=1.2.3", "!=1.2", "!=1", "!=*", "!=1.2.x", "!=1.2-beta", ">1.2.3", ">1.2", ">1", ">*", ">=1.2.3", ">=1.2", ">=1", "=>1", ">=*", "<1.2.3", "<1.2", "<1", "<*", "<=1.2.3", "<=1.2", "<=1", "=<1", "<=*", "~1.2.3", "~1.2", "~1", "~0", "~0.0", "~0.0.0", "~*", "~>1.2", "~>1.2.3", "^1.2.3", "^1.2", "^1", "^0.2.3", "^0.0.1", "^0.0", "^0", "^0.1", "^*", "^0.0.0", "^2.x", "^1.x.x",
	">=1.0.0-0", ">=1.0.0-alpha", ">1.0.0-alpha <1.0.0", "~1.0.0-alpha", "^1.0.0-beta", "^1.2.0-0", "=1.0.0-rc.1", "1.0.0-alpha", "!=1.0.0-alpha", "*-0", "1.x-0", "1.2-beta", ">=0.0.0-0", "<2.0.0-0", "<=1.2-beta", ">1.2-beta", "~1-0", "^1-0",
	">=1.0.0 <2.0.0", ">=1.0.0, <2.0.0", ">=1.0.0,<2.0.0", ">= 1.0.0 , < 2.0.0", ">1.0.0<2.0.0", "1.0.0 2.0.0", "1.0 - 2.0", "1.0.0 - 2.0.0", "1 - 2", "1.0.0-alpha - 2.0.0", "1.0 -2.0", "1.0- 2.0", "1.0-2.0", "1 - 2 || 3.0.0", "<1 || >2", "1.0.0||2.0.0", "1.0.0 || 2.x || ^0.2", "|| 1", "1 ||", "1|2", "1 | 2", "1.0 - 2.0, !=1.2.3", ">1.0 - 2.0", "*, !=1.2.3",
	"==1", ">>1", "><1", "~~1", "^^1", "~^1", "1.2.3.4", "1..2", "a", "1a", "v", "vx", "1x", "1.2x", "latest", "1.2.3-", "1.2.3+", ">=", "> =1", ">=v1.2.3", "> v1", ">= 1.2.3+b1", "1.2.3+b1", "1.2+b1", ",1", "1,", "1,,2", "1 , 2", "99999999999999999999", ">=1.2.3-01", "\t1.2.3\n", "- 1", "1 -", "1 - 2 - 3", "v1 - v2", "x - 2", "1.x - 2.x",
}

func read(text string) string {
	v, err := semver.NewVersion(text)
	if err != nil {
		return "error"
	}
	return fmt.Sprintf("%d %d %d [%s]", v.Major(), v.Minor(), v.Patch(), v.Prerelease())
}

func main() {
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	for _, text := range append(versions, odd...) {
		fmt.Fprintf(w, "version\t%s\t%s\n", text, read(text))
	}
	var all []*semver.Version
	for _, text := range versions {
		all = append(all, semver.MustParse(text))
	}
	for i, a := range all {
		for j, b := range all {
			if (i+j)%5 == 0 {
				fmt.Fprintf(w, "order\t%s\t%s\t%d\n", versions[i], versions[j], a.Compare(b))
			}
		}
	}
	fmt.Fprintf(w, "versions\t%s\n", strings.Join(versions, " "))
	check := func(text string) {
		if strings.ContainsAny(text, "\t\n") {
			return
		}
		verdict := "error"
		if c, err := semver.NewConstraint(text); err == nil {
			verdict = ""
			for _, v := range all {
				if c.Check(v) {
					verdict += "y"
				} else {
					verdict += "n"
				}
			}
		}
		fmt.Fprintf(w, "range\t%s\t%s\n", text, verdict)
	}
	for _, text := range ranges {
		check(text)
	}
	operators := []string{"", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^"}
	bounds := []string{"*", "0", "0.x", "0.0", "0.1", "0.0.0", "0.0.1", "0.2.3", "1", "1.2", "1.2.3", "1.0.0-alpha", "1.2-0", "2-rc", "x.1", "1.x.2", "v1.1", "01.02", "1.2.3+x", "0.0.0-0", "0.0-0", "0-0", "*-a"}
	for _, operator := range operators {
		for _, bound := range bounds {
			check(operator + bound)
		}
	}
	r := rand.New(rand.NewSource(3))
	pieces := append([]string{" ", ",", "||", " - ", "-", "1", "2", ".", "x", "*", "v", "+a", "|", "-rc"}, operators...)
	n := 400
	if len(os.Args) > 1 { // any argument: many more, to compare once
		n = 300000
	}
	for range n {
		text := ""
		for range 1 + r.Intn(4) {
			if r.Intn(3) > 0 {
				text += operators[r.Intn(len(operators))] + bounds[r.Intn(len(bounds))]
			}
			text += pieces[r.Intn(len(pieces))]
		}
		check(text)
	}
}
