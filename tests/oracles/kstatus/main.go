// Writes what kstatus says of made-up objects, one JSON line each: the object, the status, the message.
//
//	go run . > ../../../crates/soll-plan/testdata/kstatus.jsonl
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type object = map[string]any

var random = rand.New(rand.NewSource(1))

// absent leaves a field out.
type absentType struct{}

var absent = absentType{}

func pick(choices ...any) any { return choices[random.Intn(len(choices))] }

// count is a small number, most often the wanted one.
func count() any {
	return pick(int64(2), int64(2), int64(2), int64(2), int64(2), int64(1), int64(3), int64(0), absent)
}

func fields(pairs ...any) object {
	out := object{}
	for i := 0; i < len(pairs); i += 2 {
		if _, isAbsent := pairs[i+1].(absentType); !isAbsent {
			out[pairs[i].(string)] = pairs[i+1]
		}
	}
	return out
}

func condition(kind string, reasons ...any) any {
	return fields("type", kind, "status", pick("True", "True", "False", "Unknown"), "reason", pick(reasons...), "message", "why")
}

func some(conditions ...any) any {
	list := []any{}
	for _, condition := range conditions {
		if random.Intn(4) > 0 {
			list = append(list, condition)
		}
	}
	if len(list) == 0 {
		return absent
	}
	return list
}

type kind struct {
	apiVersion, kind string
	spec, status     func() any
}

func nothing() any { return absent }

func containers() any {
	return pick(absent, []any{
		fields("name", "a", "state", fields("running", object{})),
		fields("name", "b", "state", fields("waiting", fields("reason", pick("CrashLoopBackOff", "ImagePullBackOff")))),
	})
}

var kinds = []kind{
	{"apps/v1", "Deployment",
		func() any {
			return fields("replicas", pick(int64(2), int64(2), int64(2), int64(0), absent), "progressDeadlineSeconds", pick(int64(600), int64(600), int64(2147483647), absent))
		},
		func() any {
			return fields("observedGeneration", pick(int64(3), int64(3), int64(3), int64(2), absent), "replicas", count(), "updatedReplicas", count(), "readyReplicas", count(), "availableReplicas", count(),
				"conditions", some(condition("Progressing", "NewReplicaSetAvailable", "NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"), condition("Available", "MinimumReplicasAvailable")))
		}},
	{"apps/v1", "StatefulSet",
		func() any {
			strategy := pick(absent, absent, fields("type", "OnDelete"), fields("type", "RollingUpdate", "rollingUpdate", fields("partition", pick(int64(0), int64(1), int64(2)))))
			return fields("replicas", pick(int64(2), int64(2), int64(0), absent), "updateStrategy", strategy)
		},
		func() any {
			return fields("observedGeneration", pick(int64(3), int64(3), int64(2), absent), "replicas", count(), "readyReplicas", count(), "currentReplicas", count(), "updatedReplicas", count(),
				"currentRevision", pick("a", "a", absent), "updateRevision", pick("a", "a", "b", absent))
		}},
	{"apps/v1", "DaemonSet", nothing,
		func() any {
			return fields("observedGeneration", pick(int64(3), int64(3), int64(3), int64(2), absent), "desiredNumberScheduled", count(), "currentNumberScheduled", count(),
				"updatedNumberScheduled", count(), "numberAvailable", count(), "numberReady", count())
		}},
	{"apps/v1", "ReplicaSet",
		func() any { return fields("replicas", pick(int64(2), int64(2), int64(0), absent)) },
		func() any {
			return fields("observedGeneration", pick(int64(3), int64(3), int64(2), absent), "replicas", count(), "readyReplicas", count(), "availableReplicas", count(), "fullyLabeledReplicas", count(),
				"conditions", some(condition("ReplicaFailure", "FailedCreate")))
		}},
	{"v1", "Pod", nothing,
		func() any {
			return fields("phase", pick("Pending", "Pending", "Running", "Running", "Succeeded", "Failed", absent), "containerStatuses", containers(),
				"conditions", some(condition("PodScheduled", "Unschedulable", "Unschedulable", "SchedulerError"), condition("Ready", "ContainersNotReady")))
		}},
	{"v1", "PersistentVolumeClaim", nothing, func() any { return fields("phase", pick("Bound", "Pending", "Lost", absent)) }},
	{"v1", "Service", func() any {
		return fields("type", pick("LoadBalancer", "ClusterIP", absent), "clusterIP", pick("10.0.0.1", "", absent))
	}, nothing},
	{"policy/v1", "PodDisruptionBudget", nothing, func() any { return fields("observedGeneration", pick(int64(3), int64(2), absent)) }},
	{"v1", "ConfigMap", nothing, nothing},
	{"batch/v1", "CronJob", nothing, nothing},
	{"apiextensions.k8s.io/v1", "CustomResourceDefinition", nothing,
		func() any {
			return fields("conditions", some(condition("NamesAccepted", "NoConflicts", "PluralConflict"), condition("Established", "InitialNamesAccepted", "Installing", "NotAccepted")))
		}},
	{"example.com/v1", "Thing", nothing,
		func() any {
			return fields("observedGeneration", pick(int64(3), int64(3), int64(2), absent), "conditions", some(condition("Ready", "R"), condition("Reconciling", "R"), condition("Stalled", "R")))
		}},
}

func main() {
	encoder := json.NewEncoder(os.Stdout)
	seen := map[string]bool{}
	for _, kind := range kinds {
		for i := 0; i < 50; i++ {
			metadata := fields("name", "x", "namespace", "n", "generation", int64(3),
				"creationTimestamp", pick("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", absent))
			if random.Intn(25) == 0 {
				metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
			}
			made := fields("apiVersion", kind.apiVersion, "kind", kind.kind, "metadata", metadata, "spec", kind.spec(), "status", kind.status())
			text, err := json.Marshal(made)
			if err != nil {
				panic(err)
			}
			if seen[string(text)] {
				continue
			}
			seen[string(text)] = true
			result, err := status.Compute(&unstructured.Unstructured{Object: made})
			if err != nil {
				fmt.Fprintln(os.Stderr, string(text), err)
				continue
			}
			if err := encoder.Encode(object{"object": made, "status": result.Status, "message": result.Message}); err != nil {
				panic(err)
			}
		}
	}
}
