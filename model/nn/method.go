package nn

import . "github.com/gomlx/gomlx/core/graph"

// Method is a fine-tuning method: what it trains, and how that enters a model.
// Whatever else it does it says by also implementing Linears, Embeddings, Biases,
// Inputs, Caches, Residuals, Rates, Names or Merges. Before the first step the model must give what it gives without
// the method, unless the method's paper says otherwise.
type Method interface {
	// Trains reports whether the model's own parameter is trained, and under
	// which key it is saved then.
	Trains(name string) (key string, ok bool)
	// Check is called once with the paths of all linear maps and embeddings of the
	// model that the method was put into, and says whether the method fits it.
	Check(modules []string) error
}

// Names is a method that names parameters of the model.
type Names interface {
	// CheckNames is called once with the names of the model's own parameters, and
	// says whether the method fits it.
	CheckNames(parameters []string) error
}

// Rates is a method whose trainables do not all learn at one rate.
type Rates interface {
	// Rates returns what the learning rate is multiplied by for each of the
	// trainables, which are given by their keys.
	Rates(keys []string) []float64
}

// Biases is a method that trains biases of linear maps for what the maps are.
type Biases interface {
	// TrainsBias reports whether the bias of the linear map at a path is trained, and
	// under which key it is saved then.
	TrainsBias(path string) (key string, ok bool)
}

// Linears is a method that changes linear maps (LoRA, DoRA, IA3).
type Linears interface {
	// Linear returns the map's output [..., Out]; m.Apply(m.X) is that of the
	// model alone. p stands in the map's module.
	Linear(p Params, m Linear) *Node
}

// Embeddings is a method that changes embeddings (LoRA).
type Embeddings interface {
	// Embedding returns the embeddings [B, T, d] of ids (int32 [B, T]); Embedding(e.Table,
	// e.IDs) are those of the model alone. p stands in the table's module.
	Embedding(p Params, e Lookup) *Node
}

// Lookup is a table of embeddings on its way to being read.
type Lookup struct {
	Table *Node // [V, d]
	IDs   *Node // int32 [B, T]
}

// Inputs is a method that changes what goes into the first block (prompt tuning;
// prefix tuning, which moves positions).
type Inputs interface {
	// Input returns the sequence that the first block shall see. p stands at the
	// model's root.
	Input(p Params, s Sequence) Sequence
}

// Caches is a method that puts keys and values before those of the tokens
// (prefix tuning).
type Caches interface {
	// KeysValues returns k and v [B, H, P+T, hd] for k and v [B, H, T, hd] of
	// attention number layer of layers. Every token sees all P.
	KeysValues(p Params, layer, layers int, k, v *Node) (keys, values *Node)
}

// Lengthens is a method that puts positions of its own before those of the tokens,
// so that the longest text is shorter by as many.
type Lengthens interface{ Lead() int }

// Residuals is a method that changes what is added to the residual stream
// (bottleneck adapters).
type Residuals interface {
	// Residual returns the sum of r.X and r.A [B, T, d] with the method's part in
	// it. p stands where the method's parameters have their place.
	Residual(p Params, r Residual) *Node
}

// Sequence is a batch of token sequences on its way into the first block.
type Sequence struct {
	X         *Node // [B, T, d] embeddings, positions not yet added
	Positions *Node // int32 [B, T]
	Mask      *Node // int32 [B, T]: 1 where a token is, 0 on padding; packed: the number of the token's part, from 1
	Packed    bool  // a row holds parts that do not see each other
	Encoder   bool  // it is read by an encoder, beside which a decoder writes
	Classify  bool  // a classifier alone reads the result: a model may leave out the rows that it does not look at
	Labels    *Node // int32 [B, T], unshifted, -100 where nothing is asked; nil when there are none
	Kept      *Kept // what the one token of each row sees of those before it; nil: X holds them
}

// Residual is a sublayer's output on its way to the residual stream.
type Residual struct {
	X, A        *Node             // [B, T, d]: the stream before the sublayer, the sublayer's output
	FeedForward bool              // else attention
	Cross       bool              // attention of a decoder to what its encoder read
	Norm        func(*Node) *Node // the norm that follows the sum; nil where norms come before sublayers
}

// EnterEmbedding reads the rows of a table [V, d], whose module is p's, at ids (int32
// [B, T]): [B, T, d].
func EnterEmbedding(p Params, table, ids *Node) *Node {
	p.b.modules = append(p.b.modules, p.path)
	if m, ok := p.b.method.(Embeddings); ok {
		return m.Embedding(p, Lookup{table, ids})
	}
	return Embedding(table, ids)
}

// EnterInputs lets the graph's method change the sequence.
func EnterInputs(p Params, s Sequence) Sequence {
	if m, ok := p.b.method.(Inputs); ok {
		return m.Input(p, s)
	}
	return s
}

// EnterCache lets the graph's method put keys and values before k and v, and before
// those that were kept of earlier tokens.
func EnterCache(p Params, layer, layers int, k, v *Node) (keys, values *Node) {
	if p.b.kept != nil {
		k, v = p.b.kept.own(layer, k, v)
	}
	if m, ok := p.b.method.(Caches); ok {
		return m.KeysValues(p, layer, layers, k, v)
	}
	return k, v
}

// EnterResidual adds a sublayer's output to the residual stream.
func EnterResidual(p Params, r Residual) *Node {
	if m, ok := p.b.method.(Residuals); ok {
		return materialize(p, m.Residual(p, r))
	}
	return materialize(p, Add(r.X, r.A))
}
