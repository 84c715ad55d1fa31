package backend

import "fmt"

// The package that holds XLA's CPU plugin, and the one version of it that we use:
// another may compute other bits.
const (
	wheelPackage = "xla-cpu-pjrt"
	wheelVersion = "0.0.1"
	wheelWhat    = "XLA's CPU plugin"
	wheelLibrary = "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so"
)

// A wheel is one published file, pinned, and the library inside it.
type wheel struct {
	pkg, version string
	what         string // the package's contents, for people
	name         string
	sha256       string // of the wheel: what is fetched is what was reviewed
	size         int64
	// The library is checked at every start by its size and by a fast hash: that is
	// against damage. Who can write to the user's cache can do worse anyway.
	librarySize int64
	libraryXXH3 string // 128 bits
}

var wheels = map[string]wheel{
	"linux/amd64": {
		pkg: wheelPackage, version: wheelVersion, what: wheelWhat,
		name:        "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_x86_64.whl",
		sha256:      "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
		size:        63461052,
		librarySize: 259284552,
		libraryXXH3: "f69a7657990c11f9510d69f0f4fd5f9f",
	},
	"linux/arm64": {
		pkg: wheelPackage, version: wheelVersion, what: wheelWhat,
		name:        "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_aarch64.whl",
		sha256:      "8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9",
		size:        49514947,
		librarySize: 200328224,
		libraryXXH3: "d1013bd1e4140ed73db863c601af529e",
	},
}

// wheelFor returns the wheel for a platform, or an error for one that has none.
func wheelFor(goos, goarch string) (wheel, error) {
	w, ok := wheels[goos+"/"+goarch]
	if !ok {
		return wheel{}, fmt.Errorf("XLA's CPU plugin exists for linux on amd64 and arm64, not for %s on %s", goos, goarch)
	}
	return w, nil
}
