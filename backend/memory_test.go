package backend

import "testing"

func TestTheFirstDevicesMemoryIsRead(t *testing.T) {
	for out, want := range map[string]int64{
		"81559\n":         81559 << 20,
		"81559\n143771\n": 81559 << 20,
		" 24564 \n":       24564 << 20,
		"[N/A]\n":         0,
		"":                0,
		"no devices":      0,
	} {
		if got := firstMebibytes(out); got != want {
			t.Errorf("%q: %d, want %d", out, got, want)
		}
	}
	if got := DeviceBytes(t.Context(), CPU); got != 0 {
		t.Errorf("the CPU has %d bytes of its own", got)
	}
}
