package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Which shell: bash, zsh or fish."`
}

// Help is shown below the usage.
func (*completion) Help() string {
	return `The script is to be read by the shell each time it starts:

    echo 'source <(cent completion bash)' >> ~/.bashrc
    echo 'source <(cent completion zsh)' >> ~/.zshrc
    cent completion fish > ~/.config/fish/completions/cent.fish`
}

// Run implements the command.
func (c *completion) Run(s *session, parsed *kong.Context) error {
	script := map[string]func([]word) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	if _, err := fmt.Fprint(s.stdout, script(words(parsed.Model.Node, nil))); err != nil {
		return misuse("print: %w", err)
	}
	return nil
}

// word is a command of the grammar with what may follow it.
type word struct {
	path string // "projects apply", "" for the program itself
	// commands, flags and values are what may follow; files tells whether a file may.
	commands []option
	flags    []option
	values   []string
	files    bool
}

// option is a command or a flag.
type option struct {
	name, short, help string
	valued            bool // a flag that wants a value
	file              bool // which is a file
}

// words walks the grammar. Flags are those of the command and of all above it.
func words(node *kong.Node, above []option) []word {
	w := word{path: strings.TrimPrefix(strings.TrimPrefix(node.FullPath(), "cent"), " "), flags: slices.Clone(above)}
	for _, flag := range node.Flags {
		if flag.Hidden {
			continue
		}
		o := option{name: "--" + flag.Name, help: clause(flag.Help), valued: !flag.IsBool(), file: flag.PlaceHolder == "FILE"}
		if flag.Short != 0 {
			o.short = "-" + string(flag.Short)
		}
		w.flags = append(w.flags, o)
	}
	for _, argument := range node.Positional {
		w.files = w.files || argument.Name == "file"
		if argument.Enum != "" {
			w.values = argument.EnumSlice()
		}
	}
	list := []word{w}
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		list[0].commands = append(list[0].commands, option{name: child.Name, help: clause(child.Help)})
		list = append(list, words(child, w.flags)...)
	}
	return list
}

// clause is a help text as a shell may show it: its first clause, without what a
// shell or its quotes could take for their own.
func clause(help string) string {
	help, _, _ = strings.Cut(help, " ($")
	help, _, _ = strings.Cut(help, ", $")
	return strings.NewReplacer("'", "’", "$", "", "`", "", `\`, "", "[", "(", "]", ")").Replace(strings.TrimSuffix(help, "."))
}

// names joins the names of options, and the short ones.
func names(options []option) string {
	var all []string
	for _, o := range options {
		all = append(all, o.name)
		if o.short != "" {
			all = append(all, o.short)
		}
	}
	return strings.Join(all, " ")
}

// matching are the names of the flags that pass a test, as a pattern of case.
func matching(flags []option, test func(option) bool) string {
	var all []string
	for _, o := range flags {
		if test(o) {
			all = append(all, o.name)
			if o.short != "" {
				all = append(all, o.short)
			}
		}
	}
	return strings.Join(all, "|")
}

func valued(o option) bool { return o.valued }
func file(o option) bool   { return o.file }

// allFlags are those of all words, each once.
func allFlags(list []word) []option {
	var all []option
	for _, w := range list {
		for _, o := range w.flags {
			if !slices.ContainsFunc(all, func(other option) bool { return other.name == o.name && other.short == o.short }) {
				all = append(all, o)
			}
		}
	}
	return all
}

const generated = "made by: cent completion "

// bashScript finds the command among the words, passing over flags and their
// values, and offers what may follow it.
func bashScript(list []word) string {
	var b strings.Builder
	flags := allFlags(list)
	fmt.Fprintf(&b, `# bash completion for cent, %sbash
_cent() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev='' path='' word skip='' i
    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD-1]}
    # bash takes --flag=value for three words.
    if [[ $cur == = ]]; then cur=''
    elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then skip=1; continue; fi
        if [[ -n $skip ]]; then skip=''; continue; fi
        case $word in
            %s) skip=1; [[ ${COMP_WORDS[i+1]} == = ]] && skip='' ;;
            -*) ;;
            *) case "$path $word" in
`, generated, matching(flags, valued))
	for _, w := range list[1:] {
		fmt.Fprintf(&b, "                ' %s') path=' %s' ;;\n", w.path, w.path)
	}
	fmt.Fprintf(&b, `            esac ;;
        esac
    done
    COMPREPLY=()
    case $prev in
        %s) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        %s) return ;;
    esac
    local commands='' flags='' values='' files=''
    case $path in
`, matching(flags, file), matching(flags, func(o option) bool { return o.valued && !o.file }))
	for _, w := range list {
		path := w.path
		if path != "" {
			path = " " + path
		}
		fmt.Fprintf(&b, "        '%s') commands='%s' values='%s' files='%s'\n            flags='%s' ;;\n",
			path, names(w.commands), strings.Join(w.values, " "), map[bool]string{true: "1"}[w.files], names(w.flags))
	}
	b.WriteString(`    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
    elif [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$commands $values" -- "$cur")
    fi
}
complete -F _cent cent
`)
	return b.String()
}

// zshScript is the same for zsh, with the help beside each name.
func zshScript(list []word) string {
	var b strings.Builder
	flags := allFlags(list)
	fmt.Fprintf(&b, `#compdef cent
# zsh completion for cent, %szsh
_cent() {
    local path_='' word skip='' i
    local -a commands flags values
    local files=''
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        if [[ -n $skip ]]; then skip=''; continue; fi
        case $word in
            %s) skip=1 ;;
            -*) ;;
            *) case "$path_ $word" in
`, generated, matching(flags, valued))
	for _, w := range list[1:] {
		fmt.Fprintf(&b, "                ' %s') path_=' %s' ;;\n", w.path, w.path)
	}
	fmt.Fprintf(&b, `            esac ;;
        esac
    done
    case ${words[CURRENT-1]} in
        %s) _files; return ;;
        %s) return ;;
    esac
    case $path_ in
`, matching(flags, file), matching(flags, func(o option) bool { return o.valued && !o.file }))
	for _, w := range list {
		path := w.path
		if path != "" {
			path = " " + path
		}
		fmt.Fprintf(&b, "        '%s')\n", path)
		fmt.Fprintf(&b, "            commands=(%s)\n            flags=(%s)\n            values=(%s)\n            files='%s' ;;\n",
			described(w.commands), described(w.flags), strings.Join(w.values, " "), map[bool]string{true: "1"}[w.files])
	}
	b.WriteString(`    esac
    if [[ ${words[CURRENT]} == -* ]]; then
        _describe -o flag flags
    else
        ((${#commands})) && _describe command commands
        ((${#values})) && compadd -a values
        [[ -n $files ]] && _files
    fi
}
if [[ $funcstack[1] == _cent ]]; then _cent "$@"; else compdef _cent cent; fi
`)
	return b.String()
}

// described are options as zsh's _describe takes them.
func described(options []option) string {
	var all []string
	for _, o := range options {
		for _, name := range []string{o.name, o.short} {
			if name != "" {
				all = append(all, "'"+name+":"+strings.ReplaceAll(o.help, ":", `\:`)+"'")
			}
		}
	}
	return strings.Join(all, " ")
}

// fishScript has a line for everything that may follow a command.
func fishScript(list []word) string {
	var b strings.Builder
	flags := allFlags(list)
	fmt.Fprintf(&b, `# fish completion for cent, %sfish
function __cent_path
    set -l path ''
    set -l skip ''
    for word in (commandline -opc)[2..-1]
        if test -n "$skip"
            set skip ''
            continue
        end
        switch $word
            case %s
                set skip 1
            case '-*'
            case '*'
                switch "$path $word"
                    case %s
                        set path "$path $word"
                end
        end
    end
    string trim -- "$path"
end
function __cent_at
    set -l path (__cent_path)
    test "$path" = "$argv"
end
complete -c cent -f
`, generated, strings.ReplaceAll(matching(flags, valued), "|", " "), paths(list))
	for _, w := range list {
		at := fmt.Sprintf("complete -c cent -n '__cent_at %s'", w.path)
		if w.path == "" {
			at = `complete -c cent -n '__cent_at ""'`
		}
		for _, o := range w.commands {
			fmt.Fprintf(&b, "%s -a %s -d '%s'\n", at, o.name, o.help)
		}
		for _, o := range w.flags {
			line := at + " -l " + strings.TrimPrefix(o.name, "--")
			if o.short != "" {
				line += " -s " + strings.TrimPrefix(o.short, "-")
			}
			switch {
			case o.file:
				line += " -r -F"
			case o.valued:
				line += " -x"
			}
			fmt.Fprintf(&b, "%s -d '%s'\n", line, o.help)
		}
		if len(w.values) > 0 {
			fmt.Fprintf(&b, "%s -a '%s'\n", at, strings.Join(w.values, " "))
		}
		if w.files {
			fmt.Fprintln(&b, at+" -F")
		}
	}
	return b.String()
}

func paths(list []word) string {
	var all []string
	for _, w := range list[1:] {
		all = append(all, "' "+w.path+"'")
	}
	return strings.Join(all, " ")
}
