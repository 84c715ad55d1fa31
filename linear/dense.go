package linear

// Dense are rows that hold every number.
type Dense struct {
	X     []float32 // row by row
	width int
}

// NewDense returns rows of width numbers each.
func NewDense(x []float32, width int) Dense { return Dense{x, width} }

// Len returns the number of rows.
func (d Dense) Len() int { return len(d.X) / d.width }

// Width returns the length of a row.
func (d Dense) Width() int { return d.width }

// Dot returns the product of row i and w.
func (d Dense) Dot(i int, w []float64) (sum float64) {
	for j, x := range d.X[i*d.width:][:d.width] {
		sum += float64(x) * w[j]
	}
	return sum
}

// Add adds x times row i to w.
func (d Dense) Add(i int, x float64, w []float64) {
	for j, v := range d.X[i*d.width:][:d.width] {
		w[j] += x * float64(v)
	}
}
