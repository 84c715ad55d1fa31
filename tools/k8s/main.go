// Command k8s decodes manifests strictly by Kubernetes' own types, and prints what they are.
package main

import (
	"bytes"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		if err := object(doc); err != nil {
			return err
		}
	}
	return nil
}

// object decodes one object into the type that it says.
func object(doc []byte) error {
	var kind struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := yaml.Unmarshal(doc, &kind); err != nil {
		return err
	}
	into := map[string]any{
		"apps/v1 StatefulSet": &appsv1.StatefulSet{}, "apps/v1 Deployment": &appsv1.Deployment{}, "v1 Service": &corev1.Service{},
		"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{}, "policy/v1 PodDisruptionBudget": &policyv1.PodDisruptionBudget{},
	}[kind.APIVersion+" "+kind.Kind]
	if into == nil {
		return fmt.Errorf("%s %s is of no type that is known here", kind.APIVersion, kind.Kind)
	}
	if err := yaml.UnmarshalStrict(doc, into); err != nil {
		return fmt.Errorf("%s %s: %w", kind.Kind, kind.Name, err)
	}
	fmt.Print(kind.Kind, " ", kind.Name, ":")
	for _, c := range containers(into) {
		for _, p := range c.Ports {
			fmt.Print(" ", p.ContainerPort)
		}
	}
	fmt.Println()
	return nil
}

func containers(o any) []corev1.Container {
	switch o := o.(type) {
	case *appsv1.StatefulSet:
		return o.Spec.Template.Spec.Containers
	case *appsv1.Deployment:
		return o.Spec.Template.Spec.Containers
	}
	return nil
}
