// Records what Kubernetes' own field manager makes of random writes, for the tests of soll-patch to replay.
//
// Usage: go run . apply OPENAPI_V3_OF_APPS_V1 CRD_SCHEMA SEQUENCES SEED > apply.json
//
//	go run . strategic OPENAPI_V3_OF_APPS_V1 PATCHES SEED > strategic.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const past = "2020-01-01T00:00:00Z"

// Objects keep their version, get no defaults, and start empty.
type unversioned struct{}

func (unversioned) Convert(_, _, _ any) error { return fmt.Errorf("not used") }
func (unversioned) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}
func (unversioned) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (unversioned) Default(runtime.Object)                                   {}
func (unversioned) New(kind schema.GroupVersionKind) (runtime.Object, error) { return empty(kind), nil }

func empty(kind schema.GroupVersionKind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(kind)
	return object
}

type step struct {
	Op      string         `json:"op"`
	Manager string         `json:"manager"`
	Force   bool           `json:"force,omitempty"`
	Object  map[string]any `json:"object"`
	// What comes of it: the object, or the message and the fields in conflict.
	Result    map[string]any `json:"result,omitempty"`
	Error     string         `json:"error,omitempty"`
	Conflicts []string       `json:"conflicts,omitempty"`
}

type sequence struct {
	Types string `json:"types"`
	Steps []step `json:"steps"`
}

type kind struct {
	types     string
	kind      schema.GroupVersionKind
	converter managedfields.TypeConverter
	object    func(*generator) map[string]any
}

func main() {
	arguments := os.Args[2:]
	last := len(arguments) - 2
	count, err := strconv.Atoi(arguments[last])
	check(err)
	seed, err := strconv.ParseInt(arguments[last+1], 10, 64)
	check(err)
	switch os.Args[1] {
	case "apply":
		recordApplies(arguments[0], arguments[1], count, seed)
	case "strategic":
		recordPatches(arguments[0], count, seed)
	default:
		check(fmt.Errorf("unknown recording %q", os.Args[1]))
	}
}

func recordApplies(openapi, crd string, count int, seed int64) {
	kinds := kindsToTry(openapi, crd)
	var sequences []sequence
	for number := range count {
		random := newGenerator(seed + int64(number))
		sequences = append(sequences, record(kinds[number%len(kinds)], random))
	}
	encoder := json.NewEncoder(os.Stdout)
	fmt.Println("[")
	for position, sequence := range sequences {
		if position > 0 {
			fmt.Println(",")
		}
		check(encoder.Encode(sequence))
	}
	fmt.Println("]")
}

func readDefinitions(openapi string) map[string]*spec.Schema {
	var document struct {
		Components struct {
			Schemas map[string]*spec.Schema `json:"schemas"`
		} `json:"components"`
	}
	read(openapi, &document)
	return document.Components.Schemas
}

func kindsToTry(openapi, crd string) []kind {
	definitions := readDefinitions(openapi)
	builtin, err := managedfields.NewTypeConverter(definitions, false)
	check(err)
	var custom spec.Schema
	read(crd, &custom)
	widget := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	custom.AddExtension("x-kubernetes-group-version-kind", []any{map[string]any{"group": widget.Group, "version": widget.Version, "kind": widget.Kind}})
	custom.Properties["metadata"] = *spec.RefSchema("#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
	custom.Properties["apiVersion"] = *spec.StringProperty()
	custom.Properties["kind"] = *spec.StringProperty()
	definitions["com.example.v1.Widget"] = &custom
	widgets, err := managedfields.NewTypeConverter(definitions, false)
	check(err)
	return []kind{
		{"Deployment", schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, builtin, (*generator).deployment},
		{"Widget", widget, widgets, (*generator).widget},
		{"none", schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Anything"}, managedfields.NewDeducedTypeConverter(), (*generator).widget},
	}
}

func record(of kind, random *generator) sequence {
	manager, err := managedfields.NewDefaultCRDFieldManager(of.converter, unversioned{}, unversioned{}, unversioned{}, of.kind, of.kind.GroupVersion(), "", nil)
	check(err)
	live := empty(of.kind)
	result := sequence{Types: of.types}
	for range 3 + random.Intn(6) {
		if of.types == "Deployment" && len(live.GetManagedFields()) == 0 {
			// What an empty builtin object has depends on Go's types, so what was untracked starts anew.
			live = empty(of.kind)
			result.Steps = append(result.Steps, step{Op: "untracked", Object: copied(live.Object)})
		}
		object := of.object(random)
		wanted := &unstructured.Unstructured{Object: object}
		wanted.SetGroupVersionKind(of.kind)
		wanted.SetName("a")
		next := step{Object: copied(object)}
		var written runtime.Object
		var err error
		if random.Intn(3) > 0 {
			next.Op, next.Manager, next.Force = "apply", random.pick("m1", "m2", "m3"), random.Intn(2) == 0
			written, err = manager.Apply(live.DeepCopy(), wanted, next.Manager, next.Force)
		} else {
			next.Op, next.Manager = "update", random.pick("u1", "u2", "m1")
			if len(live.GetManagedFields()) == 0 && random.Intn(2) == 0 && of.types != "Deployment" {
				// An object that nobody tracked.
				live = wanted
				live.SetUID("u")
				next.Op = "untracked"
				next.Object = copied(live.Object)
				result.Steps = append(result.Steps, next)
				continue
			}
			wanted.SetUID(live.GetUID())
			// The API server would have dropped an unknown field before.
			unstructured.RemoveNestedField(wanted.Object, "spec", "replicaz")
			next.Object = copied(wanted.Object)
			written = manager.UpdateNoErrors(live.DeepCopy(), wanted, next.Manager)
		}
		if err != nil {
			next.Error = err.Error()
			if status, ok := err.(*errors.StatusError); ok && status.ErrStatus.Details != nil {
				for _, cause := range status.ErrStatus.Details.Causes {
					next.Conflicts = append(next.Conflicts, cause.Message+": "+cause.Field)
				}
			}
		} else {
			live = written.(*unstructured.Unstructured)
			next.Result = timeless(live)
		}
		result.Steps = append(result.Steps, next)
	}
	return result
}

// Replaces the times of managed fields: what was just written is recognised in the result by `now`, and is
// past for the next write.
func timeless(live *unstructured.Unstructured) map[string]any {
	entries, _, _ := unstructured.NestedSlice(live.Object, "metadata", "managedFields")
	shown := copied(live.Object)
	var marked []any
	for _, entry := range entries {
		entry := entry.(map[string]any)
		mark := copied(entry)
		if time, ok := entry["time"]; ok {
			if time != past {
				mark["time"] = "now"
			}
			entry["time"] = past
		}
		marked = append(marked, mark)
	}
	if len(entries) > 0 {
		check(unstructured.SetNestedSlice(live.Object, entries, "metadata", "managedFields"))
		check(unstructured.SetNestedSlice(shown, marked, "metadata", "managedFields"))
	}
	return shown
}

func copied(object map[string]any) map[string]any {
	text, err := json.Marshal(object)
	check(err)
	var out map[string]any
	check(json.Unmarshal(text, &out))
	return runtime.DeepCopyJSON(integers(out).(map[string]any))
}

// Numbers as the API server reads them: whole ones are integers.
func integers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = integers(value[key])
		}
	case []any:
		for index := range value {
			value[index] = integers(value[index])
		}
	case float64:
		if value == float64(int64(value)) {
			return int64(value)
		}
	}
	return value
}

func read(path string, into any) {
	text, err := os.ReadFile(path)
	check(err)
	check(json.Unmarshal(text, into))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
