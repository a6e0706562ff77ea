package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

type patching struct {
	Target map[string]any `json:"target"`
	Patch  map[string]any `json:"patch"`
	Result map[string]any `json:"result"`
	Error  string         `json:"error,omitempty"`
}

// Records what the API server's strategic merge makes of patches to Deployments: those that kubectl
// computes from two states, and random ones with directives.
func recordPatches(openapi string, count int, seed int64) {
	definitions := readDefinitions(openapi)
	types := strategicpatch.PatchMetaFromOpenAPIV3{
		SchemaList: definitions,
		Schema:     definitions["io.k8s.api.apps.v1.Deployment"],
	}
	fmt.Println("[")
	for number := range count {
		random := newGenerator(seed + int64(number))
		random.unique = true
		target := copied(random.deployment())
		var patch map[string]any
		if number%2 == 0 {
			original, modified := encoded(random.deployment()), encoded(random.deployment())
			text, err := strategicpatch.CreateThreeWayMergePatch(original, modified, encoded(target), types, true)
			check(err)
			patch = map[string]any{}
			check(json.Unmarshal(text, &patch))
			patch = copied(patch)
		} else {
			patch = copied(random.directed(random.deployment()).(map[string]any))
		}
		result := patching{Target: target, Patch: patch}
		merged, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(copied(target), copied(patch), types)
		if err != nil {
			result.Error = err.Error()
		} else {
			result.Result = merged
		}
		if number > 0 {
			fmt.Println(",")
		}
		check(json.NewEncoder(os.Stdout).Encode(result))
	}
	fmt.Println("]")
}

func encoded(object map[string]any) []byte {
	text, err := json.Marshal(object)
	check(err)
	return text
}

// Adds directives to a patch here and there.
func (g *generator) directed(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = g.directed(value[key])
		}
		if g.Intn(15) == 0 {
			value["$patch"] = g.pick("replace", "delete", "merge")
		}
		if finalizers, ok := value["finalizers"].([]any); ok && g.Intn(2) == 0 {
			value["$deleteFromPrimitiveList/finalizers"] = finalizers
			delete(value, "finalizers")
		}
		if g.Intn(25) == 0 {
			kept := []any{g.pick("type", "name", "labels")}
			for key := range value {
				kept = append(kept, key)
			}
			value["$retainKeys"] = kept
		}
	case []any:
		for index := range value {
			value[index] = g.directed(value[index])
		}
	}
	return value
}
