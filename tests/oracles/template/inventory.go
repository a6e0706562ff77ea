package main

import (
	"reflect"
	"text/template"
	"unsafe"

	"helm.sh/helm/v4/pkg/engine"
)

// A function or method: the types of its parameters, of which the last may be variadic, and of its first result.
type signature struct {
	Params   []string `json:"params"`
	Variadic bool     `json:"variadic"`
	Result   string   `json:"result"`
}

// What templates can call: the functions, Go's own aside, and the methods of what functions and methods return.
type callable struct {
	Functions map[string]signature            `json:"functions"`
	Methods   map[string]map[string]signature `json:"methods"`
}

var failure = reflect.TypeFor[error]()

// Templates call what returns one value, or one and an error.
func good(t reflect.Type) bool {
	return t.NumOut() == 1 || t.NumOut() == 2 && t.Out(1) == failure
}

func describe(t reflect.Type, receiver int) signature {
	s := signature{Params: []string{}, Variadic: t.IsVariadic(), Result: t.Out(0).String()}
	for i := receiver; i < t.NumIn(); i++ {
		in := t.In(i)
		if t.IsVariadic() && i == t.NumIn()-1 {
			in = in.Elem()
		}
		s.Params = append(s.Params, in.String())
	}
	return s
}

func inventory() callable {
	t := template.New("gotpl")
	initFunMap(engine.Engine{}, t)
	field := reflect.ValueOf(t).Elem().FieldByName("common").Elem().FieldByName("execFuncs")
	functions := *(*map[string]reflect.Value)(unsafe.Pointer(field.UnsafeAddr()))

	all := callable{Functions: map[string]signature{}, Methods: map[string]map[string]signature{}}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if _, seen := all.Methods[t.String()]; seen || t.NumMethod() == 0 || t.Kind() == reflect.Interface {
			return
		}
		methods := map[string]signature{}
		all.Methods[t.String()] = methods
		for i := 0; i < t.NumMethod(); i++ {
			method := t.Method(i)
			if good(method.Type) {
				methods[method.Name] = describe(method.Type, 1)
				visit(method.Type.Out(0))
			}
		}
	}
	for name, function := range functions {
		all.Functions[name] = describe(function.Type(), 0)
		visit(function.Type().Out(0))
	}
	return all
}
