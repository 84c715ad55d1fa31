package corpus

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carillon/job"
)

// dataFile is one file of a data set.
type dataFile struct {
	name string // below the folder that the path names, for errors
	open func() (io.ReadCloser, error)
}

// openers find the files of a data set by the scheme of its path, in order; ""
// is this machine.
var openers = map[string]func(job.Dataset) ([]dataFile, error){
	"":      localFiles,
	"s3":    refused("s3:// comes with S3 stores and is not read yet: copy the files here and give their path"),
	"hf":    refused("hf:// is not read, since nothing is downloaded from the hub yet: " + downloadFirst),
	"http":  refused("http:// is not read: download the file and give its path"),
	"https": refused("https:// is not read: download the file and give its path"),
	"file":  refused("file:// is not needed: give the path alone"),
}

const downloadFirst = "download the data set, such as with hf download USER/NAME --repo-type dataset --local-dir DIR, and give the path of its files"

func refused(why string) func(job.Dataset) ([]dataFile, error) {
	return func(job.Dataset) ([]dataFile, error) { return nil, errors.New(why) }
}

// filesOf returns the files that a data set's path names.
func filesOf(d job.Dataset) ([]dataFile, error) {
	name, _, found := strings.Cut(d.Path, "://")
	if !found {
		name = ""
	}
	open := openers[name]
	if open == nil {
		return nil, fmt.Errorf("%s:// is not known: want a file, a folder or a pattern such as data/*.jsonl", name)
	}
	return open(d)
}

// localFiles returns the file, the files of the folder, or the files that match.
// What is there by that very name is no pattern.
func localFiles(d job.Dataset) ([]dataFile, error) {
	info, err := os.Stat(d.Path)
	switch {
	case err == nil && info.IsDir():
		return folderFiles(d)
	case err == nil:
		return []dataFile{localFile(filepath.Dir(d.Path), d.Path)}, nil
	case strings.ContainsAny(d.Path, "*?["):
		return matchingFiles(d.Path)
	case errors.Is(err, fs.ErrNotExist) && looksLikeHub(d.Path):
		return nil, fmt.Errorf("%w; a data set of the hub is not fetched by its name yet: %s", withoutPath(err), downloadFirst)
	}
	return nil, withoutPath(err)
}

// withoutPath returns what is wrong with a path that the error's reader knows.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// localFile names a file by its path below root.
func localFile(root, path string) dataFile {
	name, err := filepath.Rel(root, path)
	if err != nil {
		name = path
	}
	return dataFile{filepath.ToSlash(name), func() (io.ReadCloser, error) { return os.Open(path) }}
}

// looksLikeHub says whether a path that is not there has the form of a hub's
// name: squad, or user/name.
func looksLikeHub(path string) bool {
	return strings.Count(path, "/") <= 1 && filepath.Ext(path) == "" && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, ".")
}

// matchingFiles returns what a pattern matches, sorted. As in a shell, * leaves
// hidden files out.
func matchingFiles(pattern string) ([]dataFile, error) {
	if strings.Contains(pattern, "**") {
		return nil, errors.New("** is not read: want one * for each folder on the way")
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: [ wants a ] after it, and \\ goes before a [ that is meant", err)
	}
	if !strings.HasPrefix(filepath.Base(pattern), ".") {
		paths = slices.DeleteFunc(paths, func(p string) bool { return strings.HasPrefix(filepath.Base(p), ".") })
	}
	if len(paths) == 0 {
		return nil, errors.New("no file matches this pattern")
	}
	slices.Sort(paths)
	root := filepath.Dir(pattern[:strings.IndexAny(pattern, "*?[")+1])
	files := make([]dataFile, len(paths))
	for i, p := range paths {
		if info, err := os.Stat(p); err != nil || info.IsDir() {
			return nil, cmp.Or(err, fmt.Errorf("the pattern matches %s, which is a folder: want one that matches files alone", p))
		}
		files[i] = localFile(root, p)
	}
	return files, nil
}

// folderFiles returns a folder's data files, sorted. It does not choose: files
// of several formats, and files that are by their names not of one part, are
// told apart by whoever writes the recipe.
func folderFiles(d job.Dataset) ([]dataFile, error) {
	entries, err := os.ReadDir(d.Path) // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	var formats []string
	for _, e := range entries {
		format, _ := formatOf(e.Name(), "")
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !knownEnding(e.Name()) || !wanted(format, d.DsType) {
			continue
		}
		names = append(names, e.Name())
		if !slices.Contains(formats, format) {
			formats = append(formats, format)
		}
	}
	switch train, other := parts(names); {
	case len(names) == 0:
		return nil, fmt.Errorf("a folder without data files: want files that end in %s, also .gz or .zst", strings.Join(endings(d.DsType), ", "))
	case len(formats) > 1 && d.DsType == "":
		return nil, fmt.Errorf("a folder with files of several formats, %s: name one in ds_type, or give a pattern such as %s", strings.Join(formats, ", "), filepath.Join(d.Path, "*"+filepath.Ext(names[0])))
	case train != "" && other != "":
		return nil, fmt.Errorf("a folder with %s beside %s, which do not belong together by their names: give the files, and those to evaluate on under test_datasets", train, other)
	}
	files := make([]dataFile, len(names))
	for i, name := range names {
		files[i] = localFile(d.Path, filepath.Join(d.Path, name))
	}
	return files, nil
}

// wanted says whether a folder's file is of the format asked for, if any is.
func wanted(format, dsType string) bool {
	isJSON := func(f string) bool { return f == formatJSON || f == formatJSONL }
	return dsType == "" || format == dsType || isJSON(format) && isJSON(dsType)
}

// parts returns a file that is by its name to train on, and one that is not.
func parts(names []string) (train, other string) {
	for _, name := range names {
		word, _, _ := strings.Cut(strings.ToLower(name), ".")
		word, _, _ = strings.Cut(word, "-") // train-00000-of-00002
		word, _, _ = strings.Cut(word, "_")
		switch word {
		case "train", "training":
			train = cmp.Or(train, name)
		case "test", "dev", "val", "valid", "validation", "eval":
			other = cmp.Or(other, name)
		}
	}
	return train, other
}
