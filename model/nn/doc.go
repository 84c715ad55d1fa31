// Package nn holds the layers that models are built of, and the seams through
// which a fine-tuning method enters a model.
//
// # How a graph gets its parameters
//
// A model is a function that builds a graph. Whenever it needs a parameter it
// asks Params for it by its Hugging Face name, shape and initial value; so the
// graph itself is the only list of a model's parameters. Building it once
// without running it tells what there is (Declare); building it again on other
// nodes gives the program that is run.
//
// # How a method enters
//
// Layers ask the method at fixed places: around each linear map (Linears) and each
// table of embeddings (Embeddings), before the first block (Inputs), at the keys and values of each attention (Caches) and
// where a sublayer's output joins the residual stream (Residuals). A Method
// implements those that it needs; where it implements none the model is as it was.
//
// # Randomness
//
// Nothing here carries state. Initial values, dropout masks and noise are functions of
// a job.Key and a flat index; graphs compute the mixer of package job with uint32
// operations, and give the same bits as the host.
//
// # Failure
//
// Code that builds graphs panics with an error when shapes do not fit, as GoMLX
// does. Package model turns that into an error; nobody else recovers.
package nn
