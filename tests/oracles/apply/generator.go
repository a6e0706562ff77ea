package main

import "math/rand"

// Makes objects from few names and values, so that writes meet.
type generator struct {
	*rand.Rand
	// No item of a list by key twice, and no nulls.
	unique bool
}

func newGenerator(seed int64) *generator {
	return &generator{Rand: rand.New(rand.NewSource(seed))}
}

func (g *generator) pick(options ...string) string { return options[g.Intn(len(options))] }

// Adds a field, most of the time; now and then as null.
func (g *generator) maybe(object map[string]any, name string, value func() any) {
	switch g.Intn(10) {
	case 0, 1, 2, 3, 4, 5:
		object[name] = value()
	case 6:
		if g.Intn(3) == 0 && !g.unique {
			object[name] = nil
		}
	}
}

func (g *generator) scalar(options ...string) func() any {
	return func() any { return g.pick(options...) }
}

func (g *generator) number() any { return int64(g.Intn(3)) }

func (g *generator) list(item func() any) func() any {
	return func() any {
		items := []any{}
		for range g.Intn(4) {
			items = append(items, item())
		}
		return items
	}
}

// A list of maps that are told apart by a key, each once and in any order; seldom one twice.
func (g *generator) keyed(key string, item func(map[string]any), values ...any) func() any {
	return func() any {
		items := []any{}
		for _, index := range g.Perm(len(values)) {
			count := g.Intn(2) + g.Intn(20)/19
			if g.unique {
				count = min(count, 1)
			}
			for range count {
				object := map[string]any{key: values[index]}
				item(object)
				items = append(items, object)
			}
		}
		return items
	}
}

func (g *generator) labels() any {
	labels := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		g.maybe(labels, name, g.scalar("1", "2"))
	}
	return labels
}

func (g *generator) metadata() map[string]any {
	metadata := map[string]any{}
	g.maybe(metadata, "labels", g.labels)
	g.maybe(metadata, "finalizers", func() any {
		items := []any{}
		for _, index := range g.Perm(3) {
			if g.Intn(2) == 0 {
				items = append(items, []string{"x", "y", "z"}[index])
			}
		}
		return items
	})
	return metadata
}

func (g *generator) port(port map[string]any) {
	g.maybe(port, "protocol", g.scalar("TCP", "UDP"))
	g.maybe(port, "name", g.scalar("p", "q"))
}

func (g *generator) container(container map[string]any) {
	g.maybe(container, "image", g.scalar("i", "j"))
	g.maybe(container, "args", g.list(g.scalar("a", "b")))
	g.maybe(container, "ports", g.keyed("containerPort", g.port, int64(80), int64(81)))
	g.maybe(container, "env", g.keyed("name", func(env map[string]any) { g.maybe(env, "value", g.scalar("1", "2")) }, "A", "B", "C"))
	g.maybe(container, "resources", func() any {
		resources := map[string]any{}
		g.maybe(resources, "limits", func() any {
			limits := map[string]any{}
			g.maybe(limits, "cpu", func() any { return g.pick("1", "2") })
			g.maybe(limits, "memory", g.scalar("1Gi"))
			return limits
		})
		return resources
	})
}

func (g *generator) deployment() map[string]any {
	spec := map[string]any{}
	g.maybe(spec, "replicas", g.number)
	g.maybe(spec, "paused", func() any { return g.Intn(2) == 0 })
	g.maybe(spec, "selector", func() any { return map[string]any{"matchLabels": g.labels()} })
	g.maybe(spec, "strategy", func() any {
		strategy := map[string]any{}
		g.maybe(strategy, "type", g.scalar("Recreate", "RollingUpdate"))
		g.maybe(strategy, "rollingUpdate", func() any {
			update := map[string]any{}
			g.maybe(update, "maxSurge", func() any {
				if g.Intn(2) == 0 {
					return g.number()
				}
				return "25%"
			})
			return update
		})
		return strategy
	})
	g.maybe(spec, "template", func() any {
		pod := map[string]any{}
		g.maybe(pod, "containers", g.keyed("name", g.container, "a", "b", "c"))
		g.maybe(pod, "nodeSelector", g.labels)
		g.maybe(pod, "tolerations", g.list(func() any { return map[string]any{"key": g.pick("a", "b")} }))
		g.maybe(pod, "volumes", g.keyed("name", func(volume map[string]any) {
			g.maybe(volume, "emptyDir", func() any { return map[string]any{} })
		}, "v", "w"))
		return map[string]any{"metadata": g.metadata(), "spec": pod}
	})
	if g.Intn(30) == 0 && !g.unique {
		spec["replicaz"] = g.number()
	}
	return map[string]any{"metadata": g.metadata(), "spec": spec}
}

func (g *generator) widget() map[string]any {
	spec := map[string]any{}
	g.maybe(spec, "size", g.number)
	g.maybe(spec, "rules", g.keyed("name", func(rule map[string]any) {
		g.maybe(rule, "weight", g.number)
		g.maybe(rule, "kind", g.scalar("k", "l"))
		g.maybe(rule, "names", g.set)
	}, "a", "b", "c"))
	g.maybe(spec, "names", g.set)
	g.maybe(spec, "whole", func() any { return g.labels() })
	g.maybe(spec, "list", g.list(g.number))
	g.maybe(spec, "labels", g.labels)
	g.maybe(spec, "free", func() any {
		free := map[string]any{}
		g.maybe(free, "known", g.labels)
		g.maybe(free, "more", func() any {
			switch g.Intn(3) {
			case 0:
				return g.labels()
			case 1:
				return g.list(g.number)()
			default:
				return g.number()
			}
		})
		return free
	})
	g.maybe(spec, "port", func() any {
		if g.Intn(2) == 0 {
			return g.number()
		}
		return "http"
	})
	return map[string]any{"metadata": g.metadata(), "spec": spec}
}

func (g *generator) set() any {
	items := []any{}
	for _, index := range g.Perm(3) {
		if g.Intn(2) == 0 {
			items = append(items, []string{"x", "y", "z"}[index])
		}
	}
	return items
}
