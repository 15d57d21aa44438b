# Modules, generated tables, the library and the program.

set(TWEEDIE_ISAS baseline avx2 avx512)
set(TWEEDIE_FLAGS_baseline "")
set(TWEEDIE_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(TWEEDIE_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mbmi2 -mprefer-vector-width=512)

# tweedie_module(NAME DEPENDS modules… LIBRARIES targets… [KERNELS])
# src/NAME/*.c as objects, and a static library tw_NAME for the module's own tests. With KERNELS, kern_*.c are compiled once per
# instruction set, with TW_ISA set to its name; which one runs is chosen at start-up.
function(tweedie_module name)
    cmake_parse_arguments(M "KERNELS" "" "DEPENDS;LIBRARIES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
    set_property(GLOBAL APPEND PROPERTY TWEEDIE_MODULES ${name})
    if(NOT sources)
        add_library(tw_${name} INTERFACE)
        return()
    endif()
    set(kernels ${sources})
    list(FILTER kernels INCLUDE REGEX "/kern_[^/]*\\.c$")
    if(M_KERNELS)
        list(FILTER sources EXCLUDE REGEX "/kern_[^/]*\\.c$")
    endif()
    set(targets tw_obj_${name})
    add_library(tw_obj_${name} OBJECT ${sources})
    if(M_KERNELS AND kernels)
        foreach(isa ${TWEEDIE_ISAS})
            add_library(tw_obj_${name}_${isa} OBJECT ${kernels})
            target_compile_definitions(tw_obj_${name}_${isa} PRIVATE TW_ISA=${isa})
            target_compile_options(tw_obj_${name}_${isa} PRIVATE -O3 -ffp-contract=fast ${TWEEDIE_FLAGS_${isa}})
            if(TWEEDIE_FUZZ) # kernels read no input
                target_compile_options(tw_obj_${name}_${isa} PRIVATE -fno-sanitize=all)
            endif()
            list(APPEND targets tw_obj_${name}_${isa})
        endforeach()
    endif()
    set(objects "")
    foreach(target ${targets})
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
        target_link_libraries(${target} PRIVATE ${M_LIBRARIES})
        set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
        list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endforeach()
    set_property(GLOBAL APPEND PROPERTY TWEEDIE_OBJECTS ${objects})
    set_property(GLOBAL APPEND PROPERTY TWEEDIE_LIBRARIES ${M_LIBRARIES})
    add_library(tw_${name} STATIC ${objects})
    target_include_directories(tw_${name} INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    list(TRANSFORM M_DEPENDS PREPEND tw_)
    target_link_libraries(tw_${name} PUBLIC ${M_DEPENDS} ${M_LIBRARIES})
    if(name STREQUAL "ops") # a gradient rule adds operations to the graph: ops declares that function, graph defines it
        target_link_libraries(tw_ops PUBLIC tw_graph)
    endif()
endfunction()

# tweedie_table(KIND TYPE HEADER)
# For every src/*/KIND_NAME.c, which defines `const TYPE tw_KIND_NAME`, a row in the generated array
# `const TYPE *const tw_KIND_table[]` with `const int tw_KIND_count`.
#
# tweedie_kinds(KIND TYPE HEADER)
# The same where TYPE begins with a tw_kind named `kind`: `const tw_kinds tw_KIND_kinds`, for tw_choice_bind.
function(tweedie_kinds kind type header)
    tweedie_generate(${kind} ${type} ${header}
        "static const tw_kind *const kinds[] = {" "    &tw_@NAME@.kind,\n" "};\nconst tw_kinds tw_${kind}_kinds = {kinds, @COUNT@};"
        "#include \"tweedie/kind.h\"\n\nextern const tw_kinds tw_${kind}_kinds;")
endfunction()

function(tweedie_table kind type header)
    tweedie_generate(${kind} ${type} ${header}
        "const ${type} *const tw_${kind}_table[] = {" "    &tw_@NAME@,\n" "};\nconst int tw_${kind}_count = @COUNT@;"
        "extern const ${type} *const tw_${kind}_table[];\nextern const int tw_${kind}_count;")
endfunction()

# Writes the table of src/*/KIND_*.c into its module, and remembers how, for tweedie_example_program.
function(tweedie_generate kind type header head row tail declared)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/${kind}_*.c)
    if(NOT sources)
        return()
    endif()
    set(file ${PROJECT_BINARY_DIR}/generated/${kind}_table.c)
    tweedie_write_table(${file} ${kind} ${type} ${header} "${head}" "${row}" "${tail}" "${declared}" ${sources})
    list(GET sources -1 source)
    get_filename_component(module ${source} DIRECTORY)
    get_filename_component(module ${module} NAME)
    target_sources(tw_obj_${module} PRIVATE ${file})
    set_property(GLOBAL APPEND PROPERTY TWEEDIE_KINDS ${kind})
    foreach(part type header head row tail declared)
        set_property(GLOBAL PROPERTY TWEEDIE_KIND_${kind}_${part} "${${part}}")
    endforeach()
endfunction()

# Declarations, then `head`, `row` for each of the sources, `tail`.
function(tweedie_write_table file kind type header head row tail declared)
    set(declarations "")
    set(rows "")
    set(count 0)
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        string(APPEND declarations "extern const ${type} tw_${name};\n")
        string(REPLACE "@NAME@" ${name} one "${row}")
        string(APPEND rows "${one}")
        math(EXPR count "${count} + 1")
    endforeach()
    string(REPLACE "@COUNT@" ${count} tail "${tail}")
    file(CONFIGURE OUTPUT ${file} CONTENT
"/* Generated by CMake from the files ${kind}_*.c. */
#include \"${header}\"
${declared}
${declarations}
${head}
${rows}${tail}
" @ONLY)
endfunction()

# The program once more with further siblings, those in FOLDER: their tables come before the module's own, which the linker then leaves
# in their libraries.
function(tweedie_example_program target folder)
    file(GLOB examples CONFIGURE_DEPENDS ${folder}/*.c)
    set(tables "")
    get_property(kinds GLOBAL PROPERTY TWEEDIE_KINDS)
    foreach(kind ${kinds})
        file(GLOB more ${folder}/${kind}_*.c)
        if(NOT more)
            continue()
        endif()
        file(GLOB sources ${PROJECT_SOURCE_DIR}/src/*/${kind}_*.c)
        foreach(part type header head row tail declared)
            get_property(${part} GLOBAL PROPERTY TWEEDIE_KIND_${kind}_${part})
        endforeach()
        set(file ${PROJECT_BINARY_DIR}/generated/examples/${kind}_table.c)
        tweedie_write_table(${file} ${kind} ${type} ${header} "${head}" "${row}" "${tail}" "${declared}" ${sources} ${more})
        list(APPEND tables ${file})
    endforeach()
    add_executable(${target} ${examples} ${tables})
    target_link_libraries(${target} PRIVATE tw_cli)
endfunction()

# libtweedie from the objects of all modules but cli.
function(tweedie_library)
    get_property(objects GLOBAL PROPERTY TWEEDIE_OBJECTS)
    list(FILTER objects EXCLUDE REGEX "tw_obj_cli")
    get_property(libraries GLOBAL PROPERTY TWEEDIE_LIBRARIES)
    list(REMOVE_DUPLICATES libraries)
    add_library(tweedie ${objects})
    add_library(tweedie::tweedie ALIAS tweedie)
    target_include_directories(tweedie PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(tweedie PRIVATE $<BUILD_INTERFACE:${libraries}>)
    set_target_properties(tweedie PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
endfunction()

function(tweedie_program)
    if(NOT TARGET tw_obj_cli)
        return()
    endif()
    add_executable(tweedie_program $<TARGET_OBJECTS:tw_obj_cli>)
    set_target_properties(tweedie_program PROPERTIES OUTPUT_NAME tweedie)
    get_property(libraries GLOBAL PROPERTY TWEEDIE_LIBRARIES)
    list(REMOVE_DUPLICATES libraries)
    target_link_libraries(tweedie_program PRIVATE tweedie ${libraries})
endfunction()
